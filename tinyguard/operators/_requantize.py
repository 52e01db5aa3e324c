"""Requantization in torch by float64 arithmetic on blocks that stay in the cache: exact, and fast.

The same codes as `arithmetic.straight_through.requantize`, which carries int64 through many passes
over memory. Every product and sum below is a multiple of a power of two that fits 53 bits, so that
float64 computes it without rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_BLOCK = 1 << 14  # elements: a block and its constants take about 1 MiB
_EXACT = 2.0**53


@dataclass(frozen=True)
class Requantization:
    """One multiplier, shift and bias a channel; `largest` bounds the accumulators, bias included.

    `wide` selects the int16x8 rule. Narrow accumulators, shifted to the left, must fit 32 bits.
    """

    bias: np.ndarray
    multipliers: np.ndarray
    shifts: np.ndarray
    zero_point: int
    low: int
    high: int
    wide: bool
    largest: int

    @property
    def real(self) -> np.ndarray:
        """The real factor of each channel, float64."""
        return np.ldexp(self.multipliers.astype(np.float64), self.shifts.astype(np.int64) - 31)

    @property
    def exact(self) -> bool:
        """Whether float64 suffices: always for the narrow rule."""
        return not self.wide or self.largest * 2.0**15 < _EXACT / 2

    def codes(self, sums: torch.Tensor) -> torch.Tensor:
        """float32 codes of sums (..., channels) without bias; no gradient. Needs `exact`."""
        import torch

        channels = sums.shape[-1]
        flat = sums.reshape(-1, channels)
        codes = torch.empty(flat.shape, dtype=torch.float32, device=flat.device)
        rows = min(max(1, _BLOCK // channels), max(1, len(flat)))

        def block(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.tile(values.astype(np.float64), (rows, 1))).to(flat.device)

        factors = [block(values) for values in self._factors()]
        bias = block(self.bias)
        for start in range(0, len(flat), rows):
            part = flat[start : start + rows]
            n = len(part)
            scaled = self._scale(bias[:n] + part, [factor[:n] for factor in factors])
            codes[start : start + n] = scaled.add_(self.zero_point).clamp_(self.low, self.high)
        return codes.reshape(sums.shape)

    def _factors(self) -> list[np.ndarray]:
        multipliers, shifts = self.multipliers.astype(np.int64), self.shifts.astype(np.int64)
        if self.wide:
            reduced = np.where(multipliers < 0x7FFF0000, (multipliers + (1 << 15)) >> 16, 0x7FFF)
            return [np.ldexp(reduced.astype(np.float64), shifts - 15)]
        left, right = np.maximum(shifts, 0), np.maximum(-shifts, 0)
        last = np.ldexp(1.0, -right)
        if self._fits:
            return [np.ldexp(multipliers.astype(np.float64), left - 31), last]
        upper, lower = multipliers >> 16, multipliers & 0xFFFF
        return [np.ldexp(part.astype(np.float64), left) for part in (upper, lower)] + [last]

    @property
    def _fits(self) -> bool:
        """Accumulator times multiplier in one product."""
        left = max(0, int(self.shifts.max(initial=0)))
        return self.largest * 2.0 ** (31 + left) < _EXACT / 2

    def _scale(self, sums: torch.Tensor, factors: list[torch.Tensor]) -> torch.Tensor:
        """Rounded scaled accumulators; overwrites `sums`."""
        import torch

        if self.wide:
            return sums.mul_(factors[0]).add_(0.5).floor_()
        if self._fits:
            high = sums.mul_(factors[0]).add_(0.5).floor_()
        else:
            # floor((u 2^16 + l + 2^30) / 2^31) = floor((u + floor((l + 2^30) / 2^16)) / 2^15)
            lower = (sums * factors[1]).add_(2.0**30).mul_(2.0**-16).floor_()
            high = sums.mul_(factors[0]).add_(lower).mul_(2.0**-15).floor_()
        high.mul_(factors[-1])
        half = torch.tensor(0.5, dtype=high.dtype, device=high.device)
        return high.add_(torch.copysign(half, high)).trunc_()  # to nearest, ties away from zero
