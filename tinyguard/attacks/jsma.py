# SPDX-License-Identifier: Apache-2.0
"""The Jacobian-based saliency map attack: few elements, a pair of them per step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.losses import find_loss, objective
from tinyguard.attacks.polish import polish_best
from tinyguard.attacks.problem import Best, Outcome, Problem
from tinyguard.attacks.space import distance
from tinyguard.errors import TinyguardError

DIRECTIONS = ("up", "both")


@dataclass(frozen=True)
class JSMA:
    """Papernot et al. 2016 (arXiv 1511.07528), untargeted: away from the label, as the loss of PGD does.

    A step moves a pair of elements by `theta`, a fraction of the pixel range, on a grid rounded to whole
    steps and at least one. Of the softmax's outputs the gradients of target and others sum to zero, so the
    pair of the largest saliency is that of the two largest gradients of the target, and those of its
    logarithm point the same way without vanishing: the search over all pairs is exact. `directions`:
    "up" raises elements only (the paper's and ART's), "both" lets each element go the way in which its
    gradient first sends it. A sample gives up above the fraction `gamma` of changed elements. L0 counts
    elements.
    """

    theta: float = 0.08
    gamma: float = 1.0
    norm: str = "l0"
    directions: str = "both"
    loss: str = "ce"
    polish_queries: int = 100

    name: ClassVar[str] = "jsma"
    summary: ClassVar[str] = "the few elements that matter most, by the saliency map"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("l0",)

    def run(self, problem: Problem) -> Outcome:
        """Raises TinyguardError for parameters out of range."""
        self._check()
        space = problem.space
        step = torch.full_like(space.low, self.theta)
        if space.grid_step is not None:
            step = torch.round(self.theta / space.grid_step).clamp(min=1) * space.grid_step
        loss = find_loss(self.loss, problem.victim, problem.targets is not None)
        best = Best(problem)
        rows, x = torch.arange(len(problem)), problem.x.clone()
        ways = torch.zeros_like(x)
        while len(rows):
            slope = problem.victim.slope(x, objective(problem, rows, loss))
            best.count(rows)
            fooled = problem.fooled(slope.decided, rows)
            changed = distance(x - problem.x[rows], self.norm)
            best.offer_nearest(rows, x, changed, fooled)
            problem.on_progress(len(problem) - len(rows))
            moves = self._moves(problem, x, slope.gradient, ways, step)
            stuck = (moves == 0).flatten(1).all(dim=1)
            stay = ~fooled & ~stuck & (changed <= self.gamma * x[0].numel())
            rows, ways = rows[stay], torch.where(moves != 0, moves.sign(), ways)[stay]
            x = space.round(x[stay] + moves[stay])
        polish_best(problem, best, torch.nonzero(best.success)[:, 0], self.norm, self.polish_queries)
        return best.outcome()

    def _moves(
        self,
        problem: Problem,
        x: torch.Tensor,
        gradient: torch.Tensor,
        ways: torch.Tensor,
        step: torch.Tensor,
    ) -> torch.Tensor:
        """`step` up or down for the two elements of the largest gradient that have room that way."""
        space = problem.space
        way = torch.ones_like(gradient) if self.directions == "up" else gradient.sign()
        room = torch.where(way > 0, space.high - x, x - space.low) > step.min() * 1e-3
        free = room & ((ways == 0) | (ways == way)) & (way != 0)
        saliency = torch.where(free, gradient * way, -torch.inf).flatten(1)
        pair = saliency.topk(min(2, saliency.shape[1]), dim=1)
        chosen = torch.zeros_like(saliency).scatter_(1, pair.indices, pair.values.isfinite().float())
        return chosen.reshape(x.shape) * way * step

    def _check(self) -> None:
        if not 0 < self.theta <= 1 or not 0 < self.gamma <= 1:
            raise TinyguardError(
                f"jsma takes theta and gamma above 0 and at most 1, not {self.theta:g} and {self.gamma:g}"
            )
        if self.directions not in DIRECTIONS:
            raise TinyguardError(f"no directions named {self.directions!r}; known: {', '.join(DIRECTIONS)}")
