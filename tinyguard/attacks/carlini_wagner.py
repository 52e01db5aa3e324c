# SPDX-License-Identifier: Apache-2.0
"""Carlini and Wagner's minimum-norm attack in L2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tinyguard.attacks.problem import Outcome, Problem
from tinyguard.attacks.space import l2
from tinyguard.attacks.trade_off import Descents, Nearest


@dataclass(frozen=True)
class CarliniWagnerL2:
    """Carlini & Wagner 2017 (arXiv 1608.04644): the least |delta|^2 + c * max(confidence - margin, 0).

    `steps` of descent for each of `binary_search_steps` constants, that of every sample searched from
    `initial_c`. The steps are Newton's for a linear margin, half the gradient, shrinking linearly from
    `step_size` times the gradient to none. (ART searches that length along a line from a learning rate of
    0.01, at six network runs per step; Adam with the rate 0.01 gets nowhere in ten steps.) The iterate
    is clipped to the box. On a grid the iterate is real, its rounding is judged.

    `confidence` is a margin of logits that a success has to have. Successes of none end with
    `polish_queries` of local search.
    """

    steps: int = 10
    binary_search_steps: int = 10
    initial_c: float = 0.01
    step_size: float = 0.5
    confidence: float = 0.0
    polish_queries: int = 100

    name: ClassVar[str] = "cw-l2"
    summary: ClassVar[str] = "Carlini and Wagner's search for the nearest success"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("l2",)

    def run(self, problem: Problem) -> Outcome:
        nearest = Nearest(problem, "l2")
        Descents(
            self.steps,
            self.binary_search_steps,
            self.initial_c,
            self.step_size,
            self.confidence,
            weight=0.0,
            far=l2,
        ).run(problem, nearest)
        if self.confidence <= 0:
            nearest.polish(self.polish_queries)
        return nearest.best.outcome()
