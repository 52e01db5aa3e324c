# SPDX-License-Identifier: Apache-2.0
"""Carlini and Wagner's minimum-norm attack in Linf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.losses import margin, objective
from tinyguard.attacks.problem import Outcome, Problem
from tinyguard.attacks.space import distance, per_sample
from tinyguard.attacks.trade_off import Nearest

_SMALLEST_TAU = 1 / 256
_MEMORY, _SQUARES, _TINY = 0.9, 0.999, 1e-8  # Adam's


@dataclass(frozen=True)
class CarliniWagnerLinf:
    """Carlini & Wagner 2017 (arXiv 1608.04644), section VI.C: the least c * max(-margin, 0) +
    sum(max(|delta| - tau, 0)) for a bound tau that falls to `decrease_factor` of every success.

    `steps` of Adam at a time, from `learning_rate` or a quarter of tau, the smaller one, shrinking linearly
    to a tenth, for a constant from `initial_c` that grows by `const_factor` where they fail; beyond
    `largest_c` the sample is done, as it is when tau falls below 1/256 or a step of the grid. Every sample
    has a constant, a bound and an Adam of its own. As in the paper the next bound begins where the last one
    succeeded (ART begins at the clean input, for every constant anew, and with ten steps seldom succeeds).
    The iterate is clipped to the box; on a grid it is real and its rounding is judged. Ends with
    `polish_queries` of local search.
    """

    steps: int = 10
    learning_rate: float = 0.01
    decrease_factor: float = 0.9
    initial_c: float = 1e-5
    largest_c: float = 20.0
    const_factor: float = 2.0
    polish_queries: int = 100

    name: ClassVar[str] = "cw-linf"
    summary: ClassVar[str] = "Carlini and Wagner's search for the nearest success"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("linf",)

    def run(self, problem: Problem) -> Outcome:
        nearest = Nearest(problem, "linf")
        state = _State(problem, self.initial_c)
        rows = torch.arange(len(problem))
        while len(rows):
            won = self._step(problem, nearest, state, rows)
            rows = rows[self._continue(problem, nearest, state, rows, won)]
            problem.on_progress(len(problem) - len(rows))
        nearest.polish(self.polish_queries)
        return nearest.best.outcome()

    def _step(self, problem: Problem, nearest: Nearest, state: _State, rows: torch.Tensor) -> torch.Tensor:
        """One step of Adam; bool (n,), which samples came below their bound before it."""
        space, clean, x = problem.space, problem.x[rows], state.x[rows]
        seen = space.round(x)
        slope = problem.victim.slope(seen, objective(problem, rows, margin))
        nearest.best.count(rows)
        fooled = problem.fooled(slope.decided, rows)
        won = nearest.offer(rows, x, seen, distance(seen - clean, "linf"), fooled)
        delta, tau, taken = x - clean, state.tau[rows], state.taken[rows]
        outside = (delta.abs() > per_sample(tau, x)) * delta.sign()
        gradient = outside - per_sample(torch.where(fooled, 0, state.c[rows]), x) * slope.gradient
        first = state.first[rows] * _MEMORY + gradient * (1 - _MEMORY)
        second = state.second[rows] * _SQUARES + gradient**2 * (1 - _SQUARES)
        state.first[rows], state.second[rows] = first, second
        state.taken[rows] = taken = taken + 1
        mean = first / per_sample(1 - _MEMORY**taken, x)
        spread = (second / per_sample(1 - _SQUARES**taken, x)).sqrt() + _TINY
        rate = torch.clamp(tau / 4, max=self.learning_rate) * (1 - 0.9 * (taken - 1) / self.steps)
        state.x[rows] = space.clip(x - per_sample(rate, x) * mean / spread)
        return won

    def _continue(
        self, problem: Problem, nearest: Nearest, state: _State, rows: torch.Tensor, won: torch.Tensor
    ) -> torch.Tensor:
        """Lower the bounds of what was won, raise the constants of what failed; bool (n,), what runs on."""
        higher = rows[won]
        far = nearest.best.distance[higher]
        state.tau[higher] = far * self.decrease_factor
        if problem.space.grid_step is not None:
            step = float(problem.space.grid_step.min())
            state.tau[higher] = torch.minimum(state.tau[higher], far - step)
        bound = per_sample(state.tau[higher], problem.x)
        delta = nearest.real[higher] - problem.x[higher]
        state.x[higher] = problem.x[higher] + torch.minimum(torch.maximum(delta, -bound), bound)
        failed = ~won & (state.taken[rows] >= self.steps)
        state.c[rows[failed]] *= self.const_factor
        state.restart(rows[won | failed])
        smallest = _SMALLEST_TAU if problem.space.grid_step is None else 0.5 * step
        return (state.tau[rows] > smallest) & (state.c[rows] < self.largest_c)


class _State:
    """Iterate, bound, constant and Adam of every sample."""

    def __init__(self, problem: Problem, c: float) -> None:
        samples = len(problem)
        self.x = problem.x.clone()
        self.tau = torch.ones(samples)
        self.c = torch.full((samples,), c)
        self.first, self.second = torch.zeros_like(self.x), torch.zeros_like(self.x)
        self.taken = torch.zeros(samples)

    def restart(self, rows: torch.Tensor) -> None:
        """Adam from the beginning for samples `rows`."""
        self.first[rows] = self.second[rows] = 0
        self.taken[rows] = 0
