# SPDX-License-Identifier: Apache-2.0
"""The boundary attack: a random walk along the decision boundary, towards the clean input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch

from tinyguard.attacks.decision import RESTARTS, Decisions, dither, probe, restarted
from tinyguard.attacks.problem import Outcome, Problem
from tinyguard.attacks.space import l2, per_sample

_SPHERE, _DITHER = 0, 1  # streams of the draws
_FEW, _MANY = 0.2, 0.5  # fractions of successes below and above which a step shrinks and grows


@dataclass(frozen=True)
class Boundary:
    """Brendel et al. 2018 (arXiv 1712.04248), L2.

    A step proposes `sample_size` points at the same distance, `delta` times that distance aside, then
    moves those that still fool towards the clean input by `epsilon` of the distance and goes on from the
    nearest that fools. Both sizes shrink and grow by `step_adapt` with the fraction of successes,
    for at most `trials` proposals of each kind per step. The first point is bisected to the boundary.
    `starts`: images (M, *shape) to begin from. A walk whose `steps` or `trials` are spent begins again
    from another random image while `max_queries` lasts, since it ends where its start led it;
    None leaves the queries to one walk.
    """

    delta: float = 0.1
    epsilon: float = 1.0
    steps: int = 500
    max_queries: int | None = None
    step_adapt: float = 0.667
    trials: int = 25
    sample_size: int = 10
    init_size: int = 100
    starts: torch.Tensor | None = field(default=None, compare=False)

    name: ClassVar[str] = "boundary"
    summary: ClassVar[str] = "a walk along the boundary"
    access: ClassVar[str] = "decision"
    budgeted: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("l2",)

    def run(self, problem: Problem) -> Outcome:
        decisions = Decisions(problem, "l2", self.max_queries)
        rows = decisions.start(self.init_size, self.starts)
        x = decisions.best.x[rows]
        for restart in range(1 if self.max_queries is None else RESTARTS):
            if restart:
                rows, x = decisions.random_points(rows, self.init_size, restart)
            if not len(rows):
                break
            walk = _Walk(self, decisions, rows, x, restart)
            turn = 0
            while len(walk.rows):
                walk.turn(turn)
                walk.leave()
                turn += 1
        return decisions.outcome()


class _Walk:
    """Where the samples `rows` are, `x` (n, *shape) at first. A turn is one batch of proposals for each,
    aside or inwards."""

    def __init__(
        self, attack: Boundary, decisions: Decisions, rows: torch.Tensor, x: torch.Tensor, restart: int
    ) -> None:
        self.attack, self.decisions, self.rows, self.restart = attack, decisions, rows, restart
        self.x, _ = decisions.to_boundary(rows, x, 1e-3)
        self.delta = torch.full((len(rows),), attack.delta)
        self.epsilon = torch.full((len(rows),), attack.epsilon)
        self.inwards = torch.zeros(len(rows), dtype=torch.bool)
        self.trial, self.step = torch.zeros(2, len(rows), dtype=torch.int64)
        self.held = self.x.unsqueeze(1).expand(-1, attack.sample_size, *decisions.problem.space.shape).clone()
        self.holds = torch.zeros(len(rows), attack.sample_size, dtype=torch.bool)

    def turn(self, turn: int) -> None:
        attack, inwards = self.attack, self.inwards
        points = self._proposals(turn)
        wanted = self.holds | ~inwards[:, None]
        fooled, known = self.decisions.ask(self.rows, points, wanted, self.x)
        share = fooled.sum(1) / known.sum(1).clamp(min=1)
        any_fooled = fooled.any(1)

        scale = torch.ones_like(share)
        scale[share < _FEW] = attack.step_adapt
        scale[share > _MANY] = 1 / attack.step_adapt
        scale[(share == 0) | (share == 1)] **= 2
        self.delta = torch.where(inwards, self.delta, self.delta * scale)
        self.epsilon = torch.where(inwards, (self.epsilon * scale).clamp(max=1), self.epsilon)

        arrived = inwards & any_fooled
        at = arrived.nonzero()[:, 0]
        if len(at):
            far = self.decisions.distance(self.rows[at], points[at]).masked_fill(~fooled[at], torch.inf)
            self.x[at] = points[at, far.argmin(1)]
        aside = ~inwards & any_fooled
        self.held[aside] = points[aside]
        self.holds = torch.where(aside[:, None], fooled, self.holds)
        self.trial = torch.where(any_fooled, 0, self.trial + 1)
        self.step = self.step + arrived
        self.inwards = aside | (inwards & ~arrived)

    def _proposals(self, turn: int) -> torch.Tensor:
        """(n, sample_size, *shape), rounded."""
        step = restarted(turn, self.restart)
        space, shape = (
            self.decisions.problem.space,
            (self.attack.sample_size, *self.decisions.problem.space.shape),
        )
        draws = self.decisions.problem.draws.select(self.rows)
        clean = self.decisions.problem.x[self.rows]
        points = torch.empty_like(self.held)
        inwards, aside = self.inwards.nonzero()[:, 0], (~self.inwards).nonzero()[:, 0]
        if len(inwards):
            held = self.held[inwards]
            way = clean[inwards].unsqueeze(1) - held
            points[inwards] = held + per_sample(self.epsilon[inwards], held) * way
        if len(aside):
            noise = draws.select(aside).normal(step, shape, _SPHERE)
            points[aside] = self._around(self.x[aside], clean[aside], self.delta[aside], noise)
        if not space.on_grid:
            return space.clip(points)
        return dither(space, points, draws.uniform(step, shape, _DITHER))

    def _around(
        self, x: torch.Tensor, clean: torch.Tensor, delta: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Points (n, k, *shape) as far from `clean` as `x` is, and about `delta` times that from `x`."""
        away = x - clean
        size = l2(away).clamp(min=1e-12)
        step = probe(self.decisions.problem.space, noise, delta * size)
        radial = (step * away.unsqueeze(1)).flatten(2).sum(2) / size[:, None] ** 2
        step = step - radial.reshape(*radial.shape, *[1] * (x.dim() - 1)) * away.unsqueeze(1)
        return clean.unsqueeze(1) + (away.unsqueeze(1) + step) / per_sample(torch.sqrt(1 + delta**2), step)

    def leave(self) -> None:
        """Let go of the samples that are done."""
        stay = (self.trial < self.attack.trials) & (self.step < self.attack.steps)
        stay &= self.decisions.left(self.rows) > 0
        if stay.all():
            return
        problem = self.decisions.problem
        problem.on_progress(len(problem) - int(stay.sum()))
        for name in ("rows", "x", "delta", "epsilon", "inwards", "trial", "step", "held", "holds"):
            setattr(self, name, getattr(self, name)[stay])
