# SPDX-License-Identifier: Apache-2.0
"""What Carlini and Wagner's attacks share: a constant for each sample, descents for it, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tinyguard.attacks.losses import margin, objective
from tinyguard.attacks.polish import polish
from tinyguard.attacks.problem import Best, Problem
from tinyguard.attacks.space import distance, per_sample

_LARGEST = 1e10
_GROWTH = 10.0
_LONGEST_STEP = 0.5  # of the pixel range
_SPREAD = 100.0  # the next constant is at least a tenth of the smallest that succeeded


class TradeOff:
    """The constant c of every sample, float32 (N,), and between which two the best one lies.

    It grows tenfold until it succeeds, then the logarithm is bisected: the constants that matter for two
    samples lie decades apart.
    """

    def __init__(self, initial: float, samples: int) -> None:
        self.c = torch.full((samples,), initial)
        self._low = torch.zeros(samples)
        self._high = torch.full((samples,), torch.inf)

    def update(self, rows: torch.Tensor, found: torch.Tensor) -> None:
        """Note for samples `rows`, int64 (n,), whether their constant led to a success, bool (n,)."""
        c, low, high = self.c[rows], self._low[rows], self._high[rows]
        low = torch.where(found, low, torch.maximum(low, c))
        high = torch.where(found, torch.minimum(high, c), high)
        middle = (torch.maximum(low, high / _SPREAD) * high).sqrt()
        self.c[rows] = torch.where(high.isinf(), c * _GROWTH, middle)
        self._low[rows], self._high[rows] = low, high

    def worth(self, best: Best) -> torch.Tensor:
        """int64 positions of the samples that a further constant may still help."""
        return torch.nonzero((self.c < _LARGEST) & (best.distance > 0))[:, 0]


def limited(move: torch.Tensor) -> torch.Tensor:
    """Moves (n, *shape), those scaled down that take an element further than half the pixel range:
    under a constant far too large the iterate would jump between corners of the box."""
    largest = distance(move, "linf")
    return move * per_sample((_LONGEST_STEP / largest.clamp(min=1e-12)).clamp(max=1), move)


class Nearest:
    """The nearest success of every sample in a norm of its own, with the real iterate that rounds to it."""

    def __init__(self, problem: Problem, norm: str) -> None:
        self.problem, self.norm = problem, norm
        self.best = Best(problem)
        self.real = problem.x.clone()

    def offer(
        self, rows: torch.Tensor, x: torch.Tensor, seen: torch.Tensor, far: torch.Tensor, won: torch.Tensor
    ) -> torch.Tensor:
        """Iterates `x`, what the network `seen` of them, how `far` (n,) that is; bool (n,), what was kept."""
        better = self.best.offer_nearest(rows, seen, far, won)
        self.real[rows[better]] = x[better]
        return better

    def polish(self, queries: int) -> None:
        """Spend `queries` of every sample that succeeded on the same success at a smaller norm."""
        best = self.best
        rows = torch.nonzero(best.success & (best.distance > 0))[:, 0]
        if queries < 1 or not len(rows):
            return
        ended = polish(self.problem, rows, self.real[rows], self.norm, queries)
        best.queries[rows] += ended.queries
        before = distance(best.x[rows] - self.problem.x[rows], self.norm)
        nearer = ended.distance < before
        best.x[rows[nearer]], best.distance[rows[nearer]] = ended.x[nearer], ended.distance[nearer]


@dataclass(frozen=True)
class Descents:
    """Minimise |delta|_2^2 + weight * |delta|_1 + c * max(confidence - margin, 0) for constants c.

    Every descent begins at the clean input, whose gradient is asked for once, and takes `steps` steps. The
    squared distance has the same curvature everywhere, so half the gradient is Newton's step to the minimum
    for a linear margin; the steps shrink linearly from `step_size` times the gradient to none, and the
    shrinkage of the weight goes with them. `far` measures changes (n, *shape), the nearest success is kept.
    """

    steps: int
    binary_search_steps: int
    initial_c: float
    step_size: float
    confidence: float
    weight: float
    far: Callable[[torch.Tensor], torch.Tensor]

    def run(self, problem: Problem, nearest: Nearest) -> None:
        trade_off = TradeOff(self.initial_c, len(problem))
        everyone = torch.arange(len(problem))
        if not len(everyone) or self.steps < 1:
            return
        first, _ = self._ask(problem, nearest, everyone, problem.x, backward=True)
        for _ in range(self.binary_search_steps):
            rows = trade_off.worth(nearest.best)
            if not len(rows):
                return
            found = self._descend(problem, nearest, rows, trade_off.c[rows], first[rows])
            trade_off.update(rows, found)
            problem.on_progress(int(nearest.best.success.sum()))

    def _ask(
        self, problem: Problem, nearest: Nearest, rows: torch.Tensor, x: torch.Tensor, backward: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The margin's gradient at the rounding of `x`, zero where that has won; bool (n,), where it has."""
        seen = problem.space.round(x)
        slope = problem.victim.slope(seen, objective(problem, rows, margin), backward)
        nearest.best.count(rows)
        # A tied output can be lost at a margin above zero: what counts is whether it was won.
        won = problem.fooled(slope.decided, rows)
        if self.confidence > 0:
            won &= slope.loss >= self.confidence
        nearest.offer(rows, x, seen, self.far(seen - problem.x[rows]), won)
        return slope.gradient * per_sample(~won, x), won

    def _descend(
        self,
        problem: Problem,
        nearest: Nearest,
        rows: torch.Tensor,
        c: torch.Tensor,
        gradient: torch.Tensor,
    ) -> torch.Tensor:
        """Minimise for constants `c` (n,); `gradient` of the clean inputs; bool (n,), which succeeded."""
        clean = problem.x[rows]
        x, found = clean, torch.zeros(len(rows), dtype=torch.bool)
        for step in range(self.steps):
            size = self.step_size * (1 - step / self.steps)
            pull = 2 * (x - clean) - per_sample(c, x) * gradient
            delta = x - clean - limited(size * pull)
            if self.weight > 0:
                delta = shrunk(delta, size * self.weight)
            x = problem.space.clip(clean + delta)
            gradient, won = self._ask(problem, nearest, rows, x, backward=step + 1 < self.steps)
            found |= won
        return found


def shrunk(delta: torch.Tensor, by: float) -> torch.Tensor:
    """Every element `by` closer to zero, at most to zero: the proximal step of the L1 norm."""
    return delta.sign() * (delta.abs() - by).clamp(min=0)
