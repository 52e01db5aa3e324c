"""Carlini and Wagner's minimum-norm attack in L2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.losses import margin, objective
from tinyguard.attacks.problem import Outcome, Problem
from tinyguard.attacks.space import l2, per_sample
from tinyguard.attacks.trade_off import Nearest, TradeOff, limited


@dataclass(frozen=True)
class CarliniWagnerL2:
    """Carlini & Wagner 2017 (arXiv 1608.04644): the least |delta|^2 + c * max(confidence - margin, 0).

    `steps` of descent for each of `binary_search_steps` constants, that of every sample searched from
    `initial_c`. The squared distance has the same curvature everywhere, so half the gradient is Newton's
    step to the minimum for a linear margin; the steps shrink linearly from `step_size` times the gradient
    to none. (ART searches that length along a line from a learning rate of 0.01, at six runs of the network
    a step; Adam with the rate 0.01 gets nowhere in ten steps.) The iterate is clipped to the box. On a grid
    the iterate is real, its rounding is judged.

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
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("l2",)

    def run(self, problem: Problem) -> Outcome:
        nearest = Nearest(problem, "l2")
        trade_off = TradeOff(self.initial_c, len(problem))
        for _ in range(self.binary_search_steps):
            rows = trade_off.worth(nearest.best)
            if not len(rows):
                break
            found = self._descend(problem, nearest, rows, trade_off.c[rows])
            trade_off.update(rows, found)
            problem.on_progress(int(nearest.best.success.sum()))
        if self.confidence <= 0:
            nearest.polish(self.polish_queries)
        return nearest.best.outcome()

    def _descend(
        self, problem: Problem, nearest: Nearest, rows: torch.Tensor, c: torch.Tensor
    ) -> torch.Tensor:
        """Minimise for constants `c` (n,) from the clean inputs; bool (n,), which succeeded."""
        space, clean = problem.space, problem.x[rows]
        of = objective(problem, rows, margin)
        x, found = clean, torch.zeros(len(rows), dtype=torch.bool)
        for step in range(self.steps):
            seen = space.round(x)
            slope = problem.victim.slope(seen, of)
            nearest.best.count(rows)
            won = problem.fooled(slope.decided, rows)
            if self.confidence > 0:
                won &= slope.loss >= self.confidence
            nearest.offer(rows, x, seen, l2(seen - clean), won)
            found |= won
            # A tied output can be lost at a margin above zero: what counts is whether it was won.
            pull = 2 * (x - clean) - per_sample(torch.where(won, 0, c), x) * slope.gradient
            x = space.clip(x - limited(self.step_size * (1 - step / self.steps) * pull))
        return found
