# SPDX-License-Identifier: Apache-2.0
"""Projected gradient descent, and the fast gradient sign method as its one-step form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.losses import find_loss
from tinyguard.attacks.problem import Best, Outcome, Problem
from tinyguard.attacks.space import l2, per_sample
from tinyguard.attacks.view import Look, look_at

_START, _LENGTH = 0, 1  # streams of the draws


@dataclass(frozen=True)
class PGD:
    """Madry et al. 2018 (arXiv 1706.06083), in Linf and L2, on the rounding of a real iterate.

    `eps` and `step_size` in fractions of the pixel range. A `step_size` stays the same over the steps; None
    begins with the radius and shrinks to nothing in equal parts. `momentum` is the fraction of the earlier
    steps' gradients that stays in the next one's (Dong et al. 2018, arXiv 1710.06081). Each restart begins
    at a random point of the ball; `random_start=False` begins the first one at the clean input.

    The paper's are `momentum=0` and a constant `step_size`. The defaults are ours: at one code an iterate
    must be able to cross the ball and to settle. A network trained with label smoothing spreads the
    cross-entropy's gradient over classes that are out of reach: `loss="margin"` is stronger there.
    """

    eps: float = 8 / 255
    norm: str = "linf"
    steps: int = 20
    restarts: int = 1
    step_size: float | None = None
    loss: str = "ce"
    momentum: float = 0.5
    random_start: bool = True

    name: ClassVar[str] = "pgd"
    summary: ClassVar[str] = "projected gradient descent with restarts"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")
    climbs: ClassVar[bool] = True

    def run(self, problem: Problem) -> Outcome:
        loss = find_loss(self.loss, problem.victim, problem.targets is not None)
        best = Best(problem)
        self.climb(problem, best, look_at(problem, loss))
        return best.outcome()

    def climb(self, problem: Problem, best: Best, look: Look) -> None:
        """All starts, each of the samples that `best` says still run."""
        radius = problem.space.radius(self.norm, self.eps)
        for restart in range(self.restarts):
            rows = best.rows
            if not len(rows):
                return
            x = problem.x[rows]
            if restart or self.random_start:
                x = random_point(problem, rows, self.norm, radius, restart)
            self._climb_once(problem, best, look, rows, x, radius)

    def _climb_once(
        self,
        problem: Problem,
        best: Best,
        look: Look,
        rows: torch.Tensor,
        x: torch.Tensor,
        radius: torch.Tensor,
    ) -> None:
        """One start for the samples `rows`; the last look only judges."""
        space, clean, carried = problem.space, problem.x[rows], torch.zeros_like(x)
        for step in range(self.steps + 1):
            more = step < self.steps
            seen = space.settle(x, clean, self.norm, radius)
            view = look(seen, rows, more)
            best.count(rows, view.passes)
            best.offer(rows, seen, view.loss, view.fooled)
            if not more:
                return
            gradient = view.gradient
            if problem.stop_early and view.fooled.any():
                stay = ~view.fooled
                rows, x, clean, gradient, carried = (
                    part[stay] for part in (rows, x, clean, gradient, carried)
                )
                if not len(rows):
                    return
            if self.momentum:
                carried = gradient = self.momentum * carried + of_mean_one(gradient)
            move = self._step(step, radius) * direction(gradient, self.norm)
            x = space.project(x + move, clean, self.norm, radius)

    def _step(self, step: int, radius: torch.Tensor) -> torch.Tensor | float:
        return radius * (1 - step / self.steps) if self.step_size is None else self.step_size


@dataclass(frozen=True)
class FGSM:
    """Goodfellow et al. 2015 (arXiv 1412.6572): one step of the whole radius from the clean input."""

    eps: float = 8 / 255
    norm: str = "linf"
    loss: str = "ce"

    name: ClassVar[str] = "fgsm"
    summary: ClassVar[str] = "gradient sign, one step"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def run(self, problem: Problem) -> Outcome:
        return PGD(self.eps, self.norm, steps=1, loss=self.loss, random_start=False).run(problem)


def direction(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    """The steepest step of size one in `norm`: (n, *shape) of gradients (n, *shape)."""
    if norm == "linf":
        return gradient.sign()
    return gradient / per_sample(l2(gradient).clamp(min=1e-12), gradient)


def of_mean_one(gradient: torch.Tensor) -> torch.Tensor:
    """Each sample's gradient scaled to a mean magnitude of one."""
    return gradient / per_sample(gradient.abs().flatten(1).mean(dim=1).clamp(min=1e-12), gradient)


def random_point(
    problem: Problem, rows: torch.Tensor, norm: str, radius: torch.Tensor, step: int
) -> torch.Tensor:
    """A point of the ball around each clean input: uniform in Linf; in L2 uniform in the ball."""
    draws, clean, shape = problem.draws.select(rows), problem.x[rows], problem.space.shape
    if norm == "linf":
        return problem.space.clip(clean + (draws.uniform(step, shape, _START) * 2 - 1) * radius)
    way = draws.normal(step, shape, _START)
    share = draws.uniform(step, (), _LENGTH) ** (1 / clean[0].numel())
    return problem.space.clip(clean + way * per_sample(share / l2(way), way) * radius)
