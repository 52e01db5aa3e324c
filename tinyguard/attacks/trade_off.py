"""What Carlini and Wagner's attacks share: a trade-off constant for each sample, and how they end."""

from __future__ import annotations

import torch

from tinyguard.attacks.polish import polish
from tinyguard.attacks.problem import Best, Problem
from tinyguard.attacks.space import distance, per_sample

_LARGEST = 1e10
_GROWTH = 10.0
_LONGEST_STEP = 0.5  # in shares
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
