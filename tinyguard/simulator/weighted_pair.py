# SPDX-License-Identifier: Apache-2.0
"""ADD and SUB of int8 codes in float32 torch: one weighted sum, exact for each of the 65,536 pairs.

The integers are round(a ka + b kb + c) but for a few pairs near ties, where TFLite's roundings of the
operands or float32's own decide. Moving ka, kb and c by a few units in the last place moves those, and
a choice that gives all pairs their code is found within a dozen tries, unless the scales make exact ties
on both sides of zero, as those of halves do. Nothing rests on how likely that is: a choice counts only
after all pairs are compared, and without one the table of pairs serves.
Multiplications and additions are separate operations, so that no fused one rounds otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from tinyguard.native import loops
from tinyguard.simulator.blocks import blocks
from tinyguard.simulator.straight_through import keep_inside

_TRIES = 200


class Pair(Protocol):
    """A sum of two codes; `a` and `b` are its gradient inside the clamp."""

    @property
    def a(self) -> float | np.float32: ...

    @property
    def b(self) -> float | np.float32: ...

    def fill(
        self, x: torch.Tensor, y: torch.Tensor, codes: torch.Tensor, outside: torch.Tensor | None = None
    ) -> None:
        """Write the float32 codes of float32 codes, and whether the real sum lies outside the clamp."""


@dataclass(frozen=True)
class WeightedPair:
    """round(clamp(a ka + c + b kb)) in float32, in this order; `low` and `high` are the clamp."""

    a: np.float32
    b: np.float32
    addend: np.float32
    low: int
    high: int

    def codes(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """float32 codes of float32 codes, which broadcast."""
        return np.asarray(np.rint(np.clip((a * self.a + self.addend) + b * self.b, self.low, self.high)))

    def fill(
        self, x: torch.Tensor, y: torch.Tensor, codes: torch.Tensor, outside: torch.Tensor | None = None
    ) -> None:
        if loops.serves(x, y, codes):
            factors, clamp = (float(self.a), float(self.b)), (self.low, self.high)
            return loops.weighted_pair(x, y, factors, float(self.addend), clamp, codes, outside)
        real = torch.mul(x, float(self.a)).add_(float(self.addend)).add_(torch.mul(y, float(self.b)))
        torch.clamp(real, self.low, self.high, out=codes)
        if outside is not None:
            outside.copy_(real.sub_(codes))  # casting to bool outruns comparing
        codes.round_()

    def of_bytes(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Codes as bytes, uint8 and 128 more, of codes as bytes."""
        x, y = x.contiguous(), y.contiguous()
        codes = torch.empty_like(x)
        self.fill(x, y, codes)
        return codes


def find(
    table: np.ndarray, factors: tuple[float, float], addend: float, clamp: tuple[int, int]
) -> WeightedPair | None:
    """The weighted sum near the real one that gives `table` (65536,), at (a + 128) * 256 + b + 128."""
    codes = np.arange(-128, 128, dtype=np.float32)
    rng = np.random.default_rng(0)
    for attempt in range(_TRIES):
        move = rng.integers(-3, 4, 3) if attempt else np.zeros(3)
        a, b = (np.float32(f * (1 + m * 2.0**-24)) for f, m in zip(factors, move[:2], strict=True))
        pair = WeightedPair(a, b, np.float32(addend + move[2] * 2.0**-18), *clamp)
        if np.array_equal(pair.codes(codes[:, None], codes).ravel(), table):
            return pair
    return None


def weighted(a: torch.Tensor, b: torch.Tensor, pair: Pair, leak: float = 0.0) -> torch.Tensor:
    """float32 codes of float32 codes of one shape, with a straight-through gradient, `leak` of it outside
    the clamp."""
    return _Weighted.apply(a, b, pair, leak)


class _Weighted(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        context: Any, a: torch.Tensor, b: torch.Tensor, pair: Pair, leak: float
    ) -> torch.Tensor:
        left, right = (x.reshape(-1, x.shape[-1]) for x in (a, b))
        codes = torch.empty_like(left)
        outside = torch.empty_like(left, dtype=torch.bool) if any(context.needs_input_grad[:2]) else None
        whole = left, right, codes, *(() if outside is None else (outside,))
        # Blocks stay in the cache between torch's passes; the native loops take one pass.
        for x, y, result, *flags in (whole,) if loops.serves(*whole) else blocks(*whole):
            pair.fill(x, y, result, *flags)
        if outside is not None:
            context.pair, context.leak = pair, leak
            context.save_for_backward(outside)
        return codes.view(a.shape)

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        context: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        (outside,) = context.saved_tensors
        kept = keep_inside(gradient.reshape(outside.shape), outside, context.leak).view(gradient.shape)
        wanted = context.needs_input_grad
        b = kept * float(context.pair.b) if wanted[1] else None
        return kept.mul_(float(context.pair.a)) if wanted[0] else None, b, None, None
