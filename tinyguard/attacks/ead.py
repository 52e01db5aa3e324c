# SPDX-License-Identifier: Apache-2.0
"""The elastic-net attack: few and small changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.problem import Outcome, Problem
from tinyguard.attacks.space import distance
from tinyguard.attacks.trade_off import Descents, Nearest
from tinyguard.errors import TinyguardError

RULES = ("EN", "L1", "L2")


@dataclass(frozen=True)
class EAD:
    """Chen et al. 2018 (arXiv 1709.04114): the least c * max(confidence - margin, 0) + |delta|_2^2 +
    w * |delta|_1 on logits, by shrinkage after every step.

    Of the successes, the `rule` keeps the one of the least beta * |delta|_1 + |delta|_2^2 ("EN") or norm
    ("L1", "L2"). The authors shrink by `beta` after steps of `learning_rate`, which makes the weight w their
    quotient; here the steps are Newton's for a linear margin, half the gradient, shrinking linearly from
    `step_size` to none, and the shrinkage goes with them. They need no momentum. `steps` of them for each of
    `binary_search_steps` constants, that of every sample searched from `initial_c`. On a grid the iterate is
    real, its rounding is judged.

    `confidence` is a margin of logits that a success has to have. Successes of none end with
    `polish_queries` of local search in L1 (rule "L2": in L2).
    """

    steps: int = 10
    binary_search_steps: int = 10
    initial_c: float = 0.01
    beta: float = 0.001
    learning_rate: float = 0.01
    step_size: float = 0.5
    rule: str = "EN"
    confidence: float = 0.0
    polish_queries: int = 100

    name: ClassVar[str] = "ead"
    summary: ClassVar[str] = "elastic net, sparse changes of least size"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("l1",)

    def run(self, problem: Problem) -> Outcome:
        """Raises TinyguardError for an unknown rule and a learning rate of 0."""
        if self.rule not in RULES:
            raise TinyguardError(f"no decision rule named {self.rule!r} in ead; known: {', '.join(RULES)}")
        if self.learning_rate <= 0:
            raise TinyguardError(f"ead takes a learning_rate above 0, not {self.learning_rate:g}")
        nearest = Nearest(problem, "l2" if self.rule == "L2" else "l1")
        Descents(
            self.steps,
            self.binary_search_steps,
            self.initial_c,
            self.step_size,
            self.confidence,
            weight=self.beta / self.learning_rate,
            far=self._far,
        ).run(problem, nearest)
        if self.confidence <= 0:
            nearest.polish(self.polish_queries)
        return nearest.best.outcome()

    def _far(self, delta: torch.Tensor) -> torch.Tensor:
        if self.rule == "EN":
            return self.beta * distance(delta, "l1") + distance(delta, "l2") ** 2
        return distance(delta, self.rule.lower())
