# SPDX-License-Identifier: Apache-2.0
"""Square attack: random squares at the edge of the budget, kept while the score does not get worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.losses import score_margin
from tinyguard.attacks.problem import Best, Outcome, Problem
from tinyguard.attacks.square_walks import IDLE, Bumps, Extremes, Walk


@dataclass(frozen=True)
class Square:
    """Andriushchenko et al. 2020 (arXiv 1912.00049, algorithms 1 to 3), in Linf and L2.

    `eps` in fractions of the pixel range, `queries` per restart, `p` the fraction of the image that the
    first squares cover; it is halved on the paper's schedule. Every sample has squares of its own. Inputs
    without height and width get segments of their last spatial axis.

    Ours: Linf begins with a few gratings and goes on from the best start. Convolutions answer to the
    shortest waves far more than to random stripes (Tsuzuku & Sato 2019, arXiv 1809.04098), and where an
    integer output shows nothing until the logits have come closer, that is what reaches its edge.

    `accept_ties` also keeps proposals that leave the score as it is: integer outputs change for a few
    proposals in a hundred, and the walk over a plateau is what leads off it. `draws` above 1 scores a
    proposal by the mean over that many points around it, itself and others up to one code away, which
    smooths plateaus; each costs a query.
    """

    eps: float = 8 / 255
    norm: str = "linf"
    queries: int = 5000
    p: float = 0.8
    restarts: int = 1
    accept_ties: bool = True
    draws: int = 1

    name: ClassVar[str] = "square"
    summary: ClassVar[str] = "random squares at the edge of the budget"
    access: ClassVar[str] = "score"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def run(self, problem: Problem) -> Outcome:
        radius = problem.space.radius(self.norm, self.eps)
        best = Best(problem)
        for restart in range(self.restarts):
            rows = best.rows
            if not len(rows):
                break
            walk = (Extremes if self.norm == "linf" else Bumps)(self, problem, rows, radius, restart)
            self._walk(problem, best, walk)
        return best.outcome()

    def _walk(self, problem: Problem, best: Best, walk: Walk) -> None:
        value = torch.full((len(walk.rows),), -torch.inf)
        left = torch.full((len(walk.rows),), max(1, self.queries // self.draws))
        for step in range(self.queries * IDLE):
            real, seen = walk.propose(step) if step else walk.start(0)
            changed = (seen != walk.seen).flatten(1).any(dim=1) if step else left > 0
            at = torch.nonzero(changed)[:, 0]
            new, fooled = value.clone(), torch.zeros_like(changed)
            if len(at):
                new[at], fooled[at] = self._judge(problem, best, walk, seen, at)
                left[at] -= 1
            if step:
                walk.note(new != value, step)
            accepted = (new >= value) if self.accept_ties else (new > value)
            walk.accept(accepted, real, seen)
            value = torch.where(accepted, new, value)
            stay = left > 0
            if problem.stop_early:
                stay &= ~fooled
            if not stay.all():
                walk.keep(stay)
                value, left = value[stay], left[stay]
                if not len(left):
                    return

    def _judge(
        self, problem: Problem, best: Best, walk: Walk, seen: torch.Tensor, at: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Query the proposals at the positions `at`: their scores and whether one fooled, both (len(at),)."""
        rows, points = walk.rows[at], seen[at]
        best.count(rows, self.draws)
        if self.draws == 1:
            answer = problem.victim.query(points)
            value, fooled = score_margin(problem, answer.scores, rows), problem.fooled(answer.decided, rows)
        else:
            value, fooled, points = self._dithered(problem, walk, points, at)
        best.offer(rows, points, value, fooled)
        return value, fooled

    def _dithered(
        self, problem: Problem, walk: Walk, points: torch.Tensor, at: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mean score of the points around each proposal, whether one in the budget fools, and that one."""
        count, rows = len(points), walk.rows[at]
        every = rows.repeat_interleave(self.draws)
        around = walk.inside((points[:, None] + walk.dither(self.draws)[at]).flatten(0, 1), every)
        around = around.reshape(count, self.draws, *points.shape[1:])
        around[:, 0] = points
        answer = problem.victim.query(around.flatten(0, 1))
        value = score_margin(problem, answer.scores, every).reshape(count, -1).mean(dim=1)
        fooled = problem.fooled(answer.decided, every) & walk.allowed(around.flatten(0, 1), every)
        fooled = fooled.reshape(count, -1)
        first = fooled.int().argmax(dim=1)  # the proposal itself where none fools
        return value, fooled.any(dim=1), around[torch.arange(count), first]
