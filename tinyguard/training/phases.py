# SPDX-License-Identifier: Apache-2.0
"""The epochs of a run in phases: fast ones to begin with where the schedule has them, then the recipe's."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinyguard.training.ascent import Ascent
from tinyguard.training.objectives import Adversarial, Objective, weakened
from tinyguard.training.recipes import Settings

_FAST_STEP = 1.25  # times eps (Wong et al. 2020, "Fast is better than free", arXiv 2001.03994)
_RISE = 0.1  # of a phase's steps: the learning rate rises from 0, afterwards it falls with a cosine


@dataclass(frozen=True)
class Phase:
    """`epochs` epochs from epoch `first` on, each of `images` samples drawn anew (None: all). With `watched`,
    an epoch after which robust accuracy has collapsed ends the phase. Over the fraction `rise` of the phase
    the attack's radius grows from nothing. `drops`: fractions of the phase with the factors that the rate has
    from there on; without them it follows a cosine."""

    name: str
    first: int
    epochs: int
    images: int | None
    rate: float
    objective: Objective
    watched: bool
    rise: float = 0.0
    drops: tuple[tuple[float, float], ...] = ()

    @property
    def end(self) -> int:
        return self.first + self.epochs

    def rate_at(self, epoch: float) -> float:
        """The learning rate at a point of the run, in epochs: linear over the first tenth of the phase, then
        a cosine to zero; or as `drops` has it."""
        progress = self._progress(epoch)
        if self.drops:
            factors = [factor for start, factor in self.drops if progress >= start]
            return self.rate * (factors[-1] if factors else 1.0)
        if progress < _RISE:
            return self.rate * progress / _RISE
        return self.rate * 0.5 * (1 + math.cos(math.pi * (progress - _RISE) / (1 - _RISE)))

    def objective_at(self, epoch: float) -> Objective:
        """The objective at a point of the run, in epochs."""
        progress = self._progress(epoch)
        return self.objective if progress >= self.rise else weakened(self.objective, progress / self.rise)

    def _progress(self, epoch: float) -> float:
        return (epoch - self.first) / self.epochs


def fast_objective(settings: Settings) -> Adversarial:
    """FGSM from a random start of the ball: one step of 1.25 eps."""
    return Adversarial(Ascent(settings.eps, _FAST_STEP * settings.eps, 1), settings.clean)


def ascent_of(settings: Settings) -> Ascent:
    """The attack in the recipe's own epochs."""
    start = "near" if settings.recipe == "trades" else "uniform"
    return Ascent(settings.eps, settings.ascent_step, settings.steps, start)


def phases_of(settings: Settings, objective: Objective, samples: int) -> tuple[Phase, ...]:
    """The fast epochs before the recipe's, and the recipe's with its `objective`, of so many samples."""
    warm_up, phases = settings.warm_up, []
    if warm_up:
        fast = fast_objective(settings)
        phases.append(Phase("fast", 0, warm_up, None, settings.warm_up_rate, fast, True, settings.rise))
    name, watched = settings.recipe, settings.recipe == "fast"
    steps = settings.epochs * max(1, min(settings.images or samples, samples) // settings.batch)
    rise = min(1.0, settings.rise_steps / steps) if steps else 0.0
    rest = Phase(
        name,
        warm_up,
        settings.epochs,
        settings.images,
        settings.rate,
        objective,
        watched,
        rise,
        settings.drops,
    )
    return (*phases, rest) if settings.epochs else tuple(phases)
