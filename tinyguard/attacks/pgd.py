"""Projected gradient descent, and the fast gradient sign method as its one-step form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.losses import Loss, find_loss, objective
from tinyguard.attacks.problem import Best, Outcome, Problem
from tinyguard.attacks.space import l2, per_sample

_START, _DIRECTION = 0, 1  # streams of the draws


@dataclass(frozen=True)
class PGD:
    """Madry et al. 2018 (arXiv 1706.06083), in Linf and L2, on the rounding of a real iterate.

    `eps` and `step_size` in shares of the pixel range; `step_size` None takes 2.5 eps / steps, at least
    one step of the grid in Linf. Each restart begins at a random point of the ball; `random_start=False`
    begins the first one at the clean input.
    """

    eps: float = 8 / 255
    norm: str = "linf"
    steps: int = 20
    restarts: int = 1
    step_size: float | None = None
    loss: str = "ce"
    random_start: bool = True

    name: ClassVar[str] = "pgd"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def run(self, problem: Problem) -> Outcome:
        radius = problem.space.radius(self.norm, self.eps)
        loss = find_loss(self.loss, problem.victim, problem.targets is not None)
        best = Best(problem)
        for restart in range(self.restarts):
            rows = best.rows
            if not len(rows):
                break
            x = problem.x[rows]
            if restart or self.random_start:
                x = random_point(problem, rows, self.norm, radius, restart)
            self._climb(problem, best, rows, x, radius, loss)
        return best.outcome()

    def _climb(
        self,
        problem: Problem,
        best: Best,
        rows: torch.Tensor,
        x: torch.Tensor,
        radius: torch.Tensor,
        loss: Loss,
    ) -> None:
        """One start for the samples `rows`; the last pass only judges."""
        space, clean = problem.space, problem.x[rows]
        for step in range(self.steps + 1):
            seen = space.settle(x, clean, self.norm, radius)
            last = step == self.steps
            slope = problem.victim.slope(seen, objective(problem, rows, loss), backward=not last)
            best.count(rows)
            fooled = problem.fooled(slope.decided, rows)
            best.offer(rows, seen, slope.loss, fooled)
            if last:
                return
            gradient = slope.gradient
            if problem.stop_early:
                stay = ~fooled
                rows, x, clean, gradient = rows[stay], x[stay], clean[stay], gradient[stay]
                if not len(rows):
                    return
            x = space.project(x + self._move(problem, gradient, radius), clean, self.norm, radius)

    def _move(self, problem: Problem, gradient: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
        step = radius * (2.5 / self.steps) if self.step_size is None else torch.tensor(self.step_size)
        if self.norm == "linf":
            if self.step_size is None and problem.space.grid_step is not None:
                step = torch.maximum(step, torch.minimum(radius, problem.space.grid_step))
            return step * gradient.sign()
        return step * gradient / per_sample(l2(gradient).clamp(min=1e-12), gradient)


@dataclass(frozen=True)
class FGSM:
    """Goodfellow et al. 2015 (arXiv 1412.6572): one step of the whole radius from the clean input."""

    eps: float = 8 / 255
    norm: str = "linf"
    loss: str = "ce"

    name: ClassVar[str] = "fgsm"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def run(self, problem: Problem) -> Outcome:
        step = float(problem.space.radius(self.norm, self.eps).max())
        one_step = PGD(self.eps, self.norm, 1, 1, step, self.loss, random_start=False)
        return one_step.run(problem)


def random_point(
    problem: Problem, rows: torch.Tensor, norm: str, radius: torch.Tensor, step: int
) -> torch.Tensor:
    """A point of the ball around each clean input: uniform in Linf; in L2 uniform in the ball."""
    draws, clean, shape = problem.draws.select(rows), problem.x[rows], problem.space.shape
    if norm == "linf":
        return problem.space.clip(clean + (draws.uniform(step, shape, _START) * 2 - 1) * radius)
    direction = draws.normal(step, shape, _START)
    share = draws.uniform(step, (), _DIRECTION) ** (1 / clean[0].numel())
    size = per_sample(share / l2(direction), direction)
    return problem.space.clip(clean + direction * size * radius)
