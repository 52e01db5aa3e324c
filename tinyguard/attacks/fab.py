# SPDX-License-Identifier: Apache-2.0
"""FAB-T: walk along the boundaries to one target class after the other, pulled towards the clean input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.hyperplane import project_onto_plane, reach_on_grid
from tinyguard.attacks.losses import margin, objective
from tinyguard.attacks.polish import polish_best
from tinyguard.attacks.problem import Best, Outcome, Problem
from tinyguard.attacks.space import distance, l2, per_sample
from tinyguard.attacks.victim import Objective

_START, _SHARE = 0, 1  # streams of the draws
_START_RADIUS = 0.5  # of the nearest success, or of the budget
_DEFAULT_RADIUS = {"linf": 0.3, "l2": 1.0}  # of a start for a sample without either
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class FABTargeted:
    """Croce & Hein 2020 (arXiv 1907.02044), the targeted form of AutoAttack, in Linf and L2.

    `targets`: how many of the largest other logits of the clean input are walked to, each with `restarts`
    walks of `steps`. With `eps`, in fractions of the pixel range, a sample succeeds and leaves at a
    distance of at most `eps` (on a grid, whole codes); with None the nearest success counts. `polish_queries`
    bounds the local search at the end, which takes the successes outside the budget. A failed sample is
    returned clean, with its nearest success beside it: one walk per class goes the same way under every
    budget, so that with `Problem.nearest` of a smaller one nothing is left to search.
    """

    eps: float | None = None
    norm: str = "linf"
    steps: int = 100
    targets: int = 9
    restarts: int = 1
    alpha_max: float = 0.1
    eta: float = 1.05
    beta: float = 0.9
    polish_queries: int = 100

    name: ClassVar[str] = "fab-t"
    summary: ClassVar[str] = "nearest point of linearised boundaries, towards classes"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def run(self, problem: Problem) -> Outcome:
        radius = None if self.eps is None else problem.space.radius(self.norm, self.eps)
        best = Best(problem)
        if problem.nearest is not None and radius is not None and self.restarts == 1:
            return self._judged(problem, best, radius)
        if len(problem):
            classes = self._classes(problem, best)
            for restart in range(self.restarts):
                for target in range(classes.shape[1]):
                    self._walk(problem, best, classes[:, target], radius, restart, target)
        rows = self._open(problem, best, torch.arange(len(problem)), radius)
        polish_best(problem, best, rows[best.success[rows]], self.norm, self.polish_queries)
        won = best.success.clone()
        if radius is not None:
            won[self._open(problem, best, rows, radius)] = False
        nearest = torch.where(per_sample(best.success, best.x), problem.space.round(best.x), problem.x)
        return _found(problem, nearest, won, best.queries)

    def _judged(self, problem: Problem, best: Best, radius: torch.Tensor) -> Outcome:
        """What the search under a smaller budget comes to under this one."""
        assert problem.nearest is not None
        everyone = torch.arange(len(problem))
        won = (problem.nearest != problem.x).flatten(1).any(dim=1)
        won &= self._within(problem, everyone, problem.nearest, radius)
        return _found(problem, problem.nearest, won, best.queries)

    def _classes(self, problem: Problem, best: Best) -> torch.Tensor:
        """int64 (N, k): the classes to walk to, the largest logits first."""
        if problem.targets is not None:
            return problem.targets[:, None]
        everyone = torch.arange(len(problem))
        logits = problem.victim.slope(problem.x, objective(problem, everyone, margin), backward=False).logits
        best.count(everyone)
        logits.scatter_(1, problem.y[:, None], -torch.inf)
        order = logits.argsort(dim=1, descending=True, stable=True)
        return order[:, : min(self.targets, problem.victim.classes - 1)]

    def _within(
        self, problem: Problem, rows: torch.Tensor, x: torch.Tensor, radius: torch.Tensor
    ) -> torch.Tensor:
        """bool: which points keep the budget."""
        delta = problem.space.round(x) - problem.x[rows]
        if self.norm == "linf":
            return (delta.abs() <= radius * (1 + _TOLERANCE) + _TOLERANCE / 10).flatten(1).all(dim=1)
        return l2(delta) <= float(radius) * (1 + _TOLERANCE)

    def _walk(
        self,
        problem: Problem,
        best: Best,
        classes: torch.Tensor,
        radius: torch.Tensor | None,
        restart: int,
        target: int,
    ) -> None:
        """One walk of every sample that has not met its budget, towards its class of `classes` (N,)."""
        space = problem.space
        rows = self._open(problem, best, torch.arange(len(problem)), radius)
        x = self._start(problem, best, rows, restart, target)
        for step in range(self.steps + 1):
            if not len(rows):
                return
            clean, seen = problem.x[rows], space.round(x)
            slope = problem.victim.slope(seen, _towards(problem, rows, classes[rows]), step < self.steps)
            best.count(rows)
            fooled = problem.fooled(slope.decided, rows)
            best.offer_nearest(rows, x, distance(seen - clean, self.norm), fooled)
            if step == self.steps:
                return
            back = clean + (x - clean) * self.beta
            x = torch.where(per_sample(fooled, x), back, x)
            x = self._step(problem, x, clean, seen, slope.gradient, slope.loss)
            running = self._open(problem, best, rows, radius)
            if len(running) < len(rows):
                stay = torch.isin(rows, running)
                rows, x = rows[stay], x[stay]
                problem.on_progress(len(problem) - len(rows))

    def _open(
        self, problem: Problem, best: Best, rows: torch.Tensor, radius: torch.Tensor | None
    ) -> torch.Tensor:
        """Those of `rows` that have no success inside the budget."""
        if radius is None:
            return rows
        return rows[~(best.success[rows] & self._within(problem, rows, best.x[rows], radius))]

    def _start(
        self, problem: Problem, best: Best, rows: torch.Tensor, restart: int, target: int
    ) -> torch.Tensor:
        """The clean inputs, or after the first round points at half the distance of the nearest success."""
        clean = problem.x[rows]
        if not restart or not len(rows):
            return clean
        step = restart * problem.victim.classes + target
        draws, shape = problem.draws.select(rows), problem.space.shape
        limit = _DEFAULT_RADIUS[self.norm] if self.eps is None else self.eps
        radius = best.distance[rows].clamp(max=limit) * _START_RADIUS
        if self.norm == "linf":
            direction = draws.uniform(step, shape, _START) * 2 - 1
        else:
            direction = draws.normal(step, shape, _START)
        size = distance(direction, self.norm).clamp(min=1e-12)
        share = draws.uniform(step, (), _SHARE)
        return problem.space.clip(clean + direction * per_sample(radius * share / size, direction))

    def _step(
        self,
        problem: Problem,
        x: torch.Tensor,
        clean: torch.Tensor,
        seen: torch.Tensor,
        normal: torch.Tensor,
        value: torch.Tensor,
    ) -> torch.Tensor:
        """Between the projections of the iterate and of the clean input onto the linearised boundary
        value + normal . (z - seen) = 0, nearer the clean one the nearer that is, and a little beyond."""
        space = problem.space
        level = (normal * seen).flatten(1).sum(dim=1) - value
        both, slopes = torch.cat([x, clean]), torch.cat([normal, normal])
        moves = project_onto_plane(both, slopes, torch.cat([level, level]), space, self.norm) - both
        own, anchor = moves.split(len(x))
        own_size = distance(own, self.norm).clamp(min=1e-8)
        anchor_size = distance(anchor, self.norm).clamp(min=1e-8)
        alpha = per_sample((own_size / (own_size + anchor_size)).clamp(max=self.alpha_max), x)
        moved = (x + self.eta * own) * (1 - alpha) + (clean + self.eta * anchor) * alpha
        beyond = (self.eta - 1) * value.abs() + problem.victim.logit_step
        return reach_on_grid(space.clip(moved), clean, normal, level + beyond, space)


def _found(problem: Problem, nearest: torch.Tensor, won: torch.Tensor, queries: torch.Tensor) -> Outcome:
    return Outcome(torch.where(per_sample(won, nearest), nearest, problem.x), won, queries, nearest)


def _towards(problem: Problem, rows: torch.Tensor, classes: torch.Tensor) -> Objective:
    """How far the logit of a sample's class of `classes` lies above that of its label, or above the largest
    other one where a target has to be decided."""
    if problem.targets is not None:
        return objective(problem, rows, margin)
    y = problem.y[rows]

    def of(logits: torch.Tensor, part: slice) -> torch.Tensor:
        wanted = logits.gather(1, classes[part][:, None])
        return (wanted - logits.gather(1, y[part][:, None]))[:, 0]

    return of
