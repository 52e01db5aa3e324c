# SPDX-License-Identifier: Apache-2.0
"""DeepFool: step after step onto the nearest of the linearised boundaries to the other classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.hyperplane import class_slopes, reach_on_grid
from tinyguard.attacks.losses import margin, objective
from tinyguard.attacks.polish import polish_best
from tinyguard.attacks.problem import Best, Outcome, Problem
from tinyguard.attacks.space import distance, per_sample
from tinyguard.errors import TinyguardError

_GROWTH = 1.5
_LARGEST_GROWTH = 64.0


@dataclass(frozen=True)
class DeepFool:
    """Moosavi-Dezfooli et al. 2016 (arXiv 1511.04599), algorithm 2, in L2 and in its Linf form.

    `candidates`: how many of the largest logits of the clean input are stepped towards. On a grid each
    iterate is stretched until its rounding crosses the linearised boundary, and steps grow for samples
    whose rounding stood still. `polish_queries` bounds the local search at the end. Untargeted.
    """

    norm: str = "l2"
    steps: int = 100
    overshoot: float = 0.008
    candidates: int = 10
    polish_queries: int = 100

    name: ClassVar[str] = "deepfool"
    summary: ClassVar[str] = "nearest linearised boundary, step by step"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("l2", "linf")

    def run(self, problem: Problem) -> Outcome:
        """Raises TinyguardError for a targeted problem."""
        if problem.targets is not None:
            raise TinyguardError(
                "deepfool goes to the nearest class and takes no targets: leave --targeted out, or "
                "type --attack fab-t"
            )
        best = Best(problem)
        rows, x = torch.arange(len(problem)), problem.x.clone()
        growth, classes = torch.ones(len(problem)), self._classes(problem, best)
        for step in range(self.steps + 1):
            if not len(rows):
                break
            clean = problem.x[rows]
            reached = problem.space.clip(clean + (1 + self.overshoot) * (x - clean)) if step else x
            of = objective(problem, rows, margin)
            fooled = problem.fooled(problem.victim.slope(reached, of, backward=False).decided, rows)
            best.count(rows)
            best.offer_nearest(rows, reached, distance(reached - clean, self.norm), fooled)
            problem.on_progress(int(best.success.sum()))
            rows, x, growth = rows[~fooled], x[~fooled], growth[~fooled]
            if step < self.steps and len(rows):
                x, growth = self._step(problem, best, rows, x, growth, classes[rows])
        polish_best(problem, best, torch.nonzero(best.success)[:, 0], self.norm, self.polish_queries)
        return best.outcome()

    def _classes(self, problem: Problem, best: Best) -> torch.Tensor:
        """int64 (N, k): each label and the largest other logits of its clean input."""
        everyone = torch.arange(len(problem))
        if not len(problem):
            return torch.zeros(0, 1, dtype=torch.int64)
        logits = problem.victim.slope(problem.x, objective(problem, everyone, margin), backward=False).logits
        best.count(everyone)
        logits.scatter_(1, problem.y[:, None], torch.inf)
        return logits.argsort(dim=1, descending=True, stable=True)[:, : max(2, self.candidates)]

    def _step(
        self,
        problem: Problem,
        best: Best,
        rows: torch.Tensor,
        x: torch.Tensor,
        growth: torch.Tensor,
        classes: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The next real iterates of the samples `rows`, and how much longer their steps have become."""
        space, clean = problem.space, problem.x[rows]
        seen = space.round(x)
        logits, gradients = class_slopes(problem.victim, x, classes)
        best.count(rows, classes.shape[1])
        chosen = logits.gather(1, classes)
        gaps = (chosen[:, :1] - chosen[:, 1:]).clamp(min=problem.victim.logit_step / 2)
        slopes = gradients[:, 1:] - gradients[:, :1]
        flat = slopes.flatten(2)
        size = flat.abs().sum(dim=2) if self.norm == "linf" else flat.norm(dim=2)
        nearest = (gaps / size.clamp(min=1e-12)).argmin(dim=1)
        pick = torch.arange(len(rows))
        gap, slope, size = gaps[pick, nearest] * growth, slopes[pick, nearest], size[pick, nearest]
        if self.norm == "linf":
            move = slope.sign() * per_sample(gap / size.clamp(min=1e-12), slope)
        else:
            move = slope * per_sample(gap / size.square().clamp(min=1e-12), slope)
        level = (slope * seen).flatten(1).sum(dim=1) + gap
        moved = reach_on_grid(space.clip(x + move), clean, slope, level, space)
        still = (space.round(moved) == seen).flatten(1).all(dim=1)
        return moved, torch.where(
            still, (growth * _GROWTH).clamp(max=_LARGEST_GROWTH), torch.ones_like(growth)
        )
