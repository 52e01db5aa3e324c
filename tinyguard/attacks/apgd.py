# SPDX-License-Identifier: Apache-2.0
"""Auto-PGD: momentum, and a step size that each sample halves when its own loss stops rising."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch.nn import functional

from tinyguard.attacks.losses import cross_entropy, find_loss
from tinyguard.attacks.pgd import direction, random_point
from tinyguard.attacks.problem import Best, Outcome, Problem
from tinyguard.attacks.space import per_sample
from tinyguard.attacks.view import Look, View, averaged, look_at

_MOMENTUM = 0.75  # alpha of the paper: the weight of the new step in a move
_FIRST_STEP = 2.0  # in radii


@dataclass(frozen=True)
class AutoPGD:
    """What the three forms of Croce & Hein 2020 (arXiv 2003.01690, algorithm 1) share.

    `eps` in fractions of the pixel range; `steps` per start; `rho` the fraction of rising steps below which
    a sample's step size halves; `eot` passes averaged at each point of a network that draws random numbers.
    """

    eps: float = 8 / 255
    norm: str = "linf"
    steps: int = 100
    restarts: int = 1
    rho: float = 0.75
    eot: int = 1

    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")
    climbs: ClassVar[bool] = True

    def climb(self, problem: Problem, best: Best, look: Look, first: int = 0) -> None:
        """`restarts` starts of the samples that `best` says still run; draws are numbered from `first`."""
        radius = problem.space.radius(self.norm, self.eps)
        look = averaged(look, self.eot)
        for start in range(first, first + self.restarts):
            rows = best.rows
            if not len(rows):
                return
            x = random_point(problem, rows, self.norm, radius, start)
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
        def see(rows: torch.Tensor, x: torch.Tensor, clean: torch.Tensor, backward: bool) -> View:
            seen = problem.space.settle(x, clean, self.norm, radius)
            view = look(seen, rows, backward)
            best.count(rows, view.passes)
            best.offer(rows, seen, view.loss, view.fooled)
            return view

        clean = problem.x[rows]
        climbers = Climbers.starting(rows, clean, x, see(rows, x, clean, self.steps > 0))
        periods = checkpoints(self.steps)
        for step in range(self.steps):
            if problem.stop_early:
                climbers.keep(~best.success[climbers.rows])
                if not len(climbers.rows):
                    return
            x = self._next(problem, climbers, radius, _MOMENTUM if step else 1.0)
            view = see(climbers.rows, x, climbers.clean, step + 1 < self.steps)
            climbers.arrive(x, view)
            if step + 1 in periods:
                climbers.check(periods[step + 1] * self.rho)

    def _next(self, problem: Problem, climbers: Climbers, radius: torch.Tensor, alpha: float) -> torch.Tensor:
        x, clean, space = climbers.x, climbers.clean, problem.space
        step = per_sample(climbers.step, x) * radius * direction(climbers.gradient, self.norm)
        move = space.project(x + step, clean, self.norm, radius) - x
        carried = x - climbers.previous
        return space.project(x + alpha * move + (1 - alpha) * carried, clean, self.norm, radius)


@dataclass(frozen=True)
class APGDCE(AutoPGD):
    """Auto-PGD on the cross-entropy."""

    name: ClassVar[str] = "apgd-ce"
    summary: ClassVar[str] = "PGD that sets its own step size, on the cross-entropy"

    def run(self, problem: Problem) -> Outcome:
        best = Best(problem)
        self.climb(problem, best, look_at(problem, cross_entropy))
        return best.outcome()


@dataclass(frozen=True)
class APGDDLR(AutoPGD):
    """Auto-PGD on the difference of logits ratio. Needs three classes, and four for targets."""

    name: ClassVar[str] = "apgd-dlr"
    summary: ClassVar[str] = "the same on the difference of logits ratio (DLR)"

    def run(self, problem: Problem) -> Outcome:
        loss = find_loss("dlr", problem.victim, problem.targets is not None)
        best = Best(problem)
        self.climb(problem, best, look_at(problem, loss))
        return best.outcome()


@dataclass(frozen=True)
class APGDTargeted(AutoPGD):
    """Auto-PGD on the targeted difference of logits ratio, towards one class after another.

    The `targets` likeliest classes of the clean input but the label are tried; any wrong class is a
    success. A problem with targets of its own has only those. Needs four classes.
    """

    targets: int = 9

    name: ClassVar[str] = "apgd-t"
    summary: ClassVar[str] = "the same on the targeted DLR, class after class"

    def run(self, problem: Problem) -> Outcome:
        loss = find_loss("dlr", problem.victim, True)
        best = Best(problem)
        if not len(problem):
            return best.outcome()
        for rank, classes in enumerate(self._classes(problem, best).unbind(dim=1)):
            self.climb(problem, best, look_at(problem, loss, classes), rank * self.restarts)
        return best.outcome()

    def _classes(self, problem: Problem, best: Best) -> torch.Tensor:
        """Classes to climb to, int64 (N, k), the likeliest first."""
        if problem.targets is not None:
            return problem.targets[:, None]
        view = problem.victim.slope(problem.x, lambda logits, part: logits.sum(dim=1), backward=False)
        best.count(torch.arange(len(problem)))
        own = functional.one_hot(problem.y, problem.victim.classes).bool()
        ranked = view.logits.masked_fill(own, -torch.inf).argsort(dim=1, descending=True, stable=True)
        return ranked[:, : min(self.targets, problem.victim.classes - 1)]


@dataclass
class Climbers:
    """The samples on their way up, row by row: where each is, was before, and was highest.

    `step` (n,) in radii; `rises` int64 (n,) steps since the last checkpoint that raised the loss; `halved`
    and `checked_loss`: whether the last checkpoint halved the step, and the best loss then.
    """

    rows: torch.Tensor
    clean: torch.Tensor
    x: torch.Tensor
    previous: torch.Tensor
    gradient: torch.Tensor
    loss: torch.Tensor
    best_x: torch.Tensor
    best_gradient: torch.Tensor
    best_loss: torch.Tensor
    step: torch.Tensor
    rises: torch.Tensor
    halved: torch.Tensor
    checked_loss: torch.Tensor

    @classmethod
    def starting(cls, rows: torch.Tensor, clean: torch.Tensor, x: torch.Tensor, view: View) -> Climbers:
        count = len(rows)
        return cls(
            rows=rows,
            clean=clean,
            x=x,
            previous=x,
            gradient=view.gradient,
            loss=view.loss,
            best_x=x.clone(),
            best_gradient=view.gradient.clone(),
            best_loss=view.loss,
            step=torch.full((count,), _FIRST_STEP),
            rises=torch.zeros(count, dtype=torch.int64),
            # Staying where it was since the start is no reason to halve at the first checkpoint.
            halved=torch.ones(count, dtype=torch.bool),
            checked_loss=view.loss,
        )

    def keep(self, stay: torch.Tensor) -> None:
        """Only the samples of a bool mask go on."""
        if not stay.all():
            for field in fields(self):
                setattr(self, field.name, getattr(self, field.name)[stay])

    def arrive(self, x: torch.Tensor, view: View) -> None:
        """A step to `x`."""
        self.rises = self.rises + (view.loss > self.loss)
        self.previous, self.x, self.gradient, self.loss = self.x, x, view.gradient, view.loss
        higher = view.loss > self.best_loss
        self.best_x[higher], self.best_gradient[higher] = x[higher], view.gradient[higher]
        self.best_loss = torch.maximum(self.best_loss, view.loss)

    def check(self, enough: float) -> None:
        """Halve the step of those with fewer than `enough` rises, or with no better loss since a checkpoint
        that left their step alone; they go on from their best point."""
        stuck = (self.rises < enough) | (~self.halved & (self.best_loss <= self.checked_loss))
        self.step = torch.where(stuck, self.step / 2, self.step)
        self.x = torch.where(per_sample(stuck, self.x), self.best_x, self.x)
        self.gradient = torch.where(per_sample(stuck, self.x), self.best_gradient, self.gradient)
        self.loss = torch.where(stuck, self.best_loss, self.loss)
        self.rises = torch.zeros_like(self.rises)
        self.halved, self.checked_loss = stuck, self.best_loss


def checkpoints(steps: int) -> dict[int, int]:
    """Steps after which step sizes are judged, each with the length of the period that ends there."""
    period, shrink, shortest = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    found, reached = {}, period
    while reached < steps:
        found[reached] = period
        period = max(period - shrink, shortest)
        reached += period
    return found
