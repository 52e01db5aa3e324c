# SPDX-License-Identifier: Apache-2.0
"""Requantization in torch: two roundings in one float64 multiplication and addition, exact.

gemmlowp scales an accumulator x by M 2^(-31-r), M the 31-bit multiplier and r the shift to the right,
in two steps:

    h = floor(x M / 2^31 + 1/2)              the doubling high multiplication
    y = h / 2^r to nearest, ties away from 0  the rounding shift

With a = M 2^(-31-r) and tilt = 2^(-r-1) (0 when r is 0: then h is y) this is the single step

    y = floor(x a + 1/2 + tilt)  for x >= 0,    y = floor(x a + 1/2 - tilt)  for x <= 0.

Proof. Let r >= 1 and k >= 0 an integer. (k + 1/2) 2^r is an integer, and floor(u) >= n for an integer n
is u >= n. For x >= 0, y >= k + 1 is h >= (k + 1/2) 2^r, that is x M / 2^31 + 1/2 >= (k + 1/2) 2^r,
that is x a + 1/2 + 2^(-r-1) >= k + 1. For x <= 0, y <= -k - 1 is h <= -(k + 1/2) 2^r, that is
x M / 2^31 + 1/2 < -(k + 1/2) 2^r + 1, that is x a + 1/2 - 2^(-r-1) < -k. At x = 0 both give 0.

When codes below the zero point are clamped (a fused RELU) the first form serves every x: below 0 it
gives at most 0. So it is with the second form when codes above the zero point are clamped.

float64 computes this without rounding, because every value is a multiple of 2^(-31-r) that fits 53
bits; where x a is too large to fit it lies outside the clamp, and rounding, which is monotone, keeps
it there. The int16x8 rule rounds once: y = floor(x a + 1/2) with a 16-bit multiplier.

Whatever fits neither goes through products in halves, or through int64.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tinyguard.native import loops
from tinyguard.native.loops import Rule
from tinyguard.simulator import straight_through
from tinyguard.simulator.blocks import blocks

_EXACT = 2.0**53
_NARROW = 16  # rows of fewer channels are joined, for torch's inner loops
_LEAST_CHANNELS = 4  # of fewer, torch with joined rows is quicker than a loop over channels


@dataclass(frozen=True)
class Requantization:
    """One multiplier and shift per channel, int64; `offsets` are what is added to the scaled accumulators.

    `offsets` hold the zero point, or for a channel that never changes its code, with multiplier 0.
    `largest` bounds the accumulators. `wide` selects the int16x8 rule. Narrow accumulators, shifted to
    the left, must fit 32 bits.
    """

    multipliers: np.ndarray
    shifts: np.ndarray
    offsets: np.ndarray
    zero_point: int
    low: int
    high: int
    wide: bool
    largest: int

    @property
    def real(self) -> np.ndarray:
        """The real factor of each channel, float64."""
        return np.ldexp(self.multipliers.astype(np.float64), self.shifts - 31)

    def requantized(
        self, sums: tuple[torch.Tensor, ...], outside: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """`codes` and on request `outside` of accumulators (rows, channels) in float32 or float64, or of
        float32 halves (lower, upper) that mean lower + 256 upper. The sums are overwritten."""
        if sums[0].shape[1] >= _LEAST_CHANNELS and self.in_c is not None and loops.serves(*sums):
            return loops.codes(self.in_c, sums, outside)
        joined = _joined_halves(*sums) if len(sums) == 2 else sums[0]
        flags = self.outside(joined) if outside else None
        return self.codes(joined), flags

    @functools.cached_property
    def in_c(self) -> Rule | None:
        """For the loops in C; None where the one-step form is not exact."""
        if not self.affine_is_exact:
            return None
        factor, addend = (np.ascontiguousarray(x, np.float64) for x in self._affine)
        tilt = np.ascontiguousarray(self._tilts, np.float64) if self._two_sided else None
        return Rule(factor, addend, tilt, *self._inside, self.low, self.high)

    def codes(self, accumulators: torch.Tensor) -> torch.Tensor:
        """float32 codes (rows, channels) of accumulators in float32 or float64, which are overwritten."""
        narrow = accumulators.dtype == torch.float32
        codes = accumulators if narrow else torch.empty_like(accumulators, dtype=torch.float32)
        if not self.affine_is_exact:
            scale = self._scale_int64 if self.wide else self._scale_in_halves
            for part, result in blocks(accumulators, codes):
                result.copy_(scale(part)).clamp_(self.low, self.high)
            return codes
        flat, target, joined = _joined(accumulators, codes)
        arrays = *self._affine, self._tilts
        factor, addend, tilt = self._repeated(arrays, joined, flat.device, torch.float64)
        for part, result in blocks(flat, target):
            space = scratch(2, part)
            scaled = space[0].copy_(part) if narrow else part
            sign = torch.sign(scaled, out=space[1]) if self._two_sided else None
            torch.addcmul(addend, scaled, factor, out=scaled)
            if sign is not None:
                scaled.addcmul_(sign, tilt)
            result.copy_(scaled.floor_()).clamp_(self.low, self.high)
        return codes

    def outside(self, accumulators: torch.Tensor) -> torch.Tensor:
        """bool (rows, channels): whether the unrounded code lies outside the clamp; its edges are inside."""
        outside = torch.empty_like(accumulators, dtype=torch.bool)
        flat, target, joined = _joined(accumulators, outside)
        least, most = self._repeated(self._inside, joined, flat.device, flat.dtype)
        for part, result in blocks(flat, target):
            result.copy_(torch.clamp(part, least, most).sub_(part))  # casting to bool outruns comparing
        return outside

    @functools.cached_property
    def affine_is_exact(self) -> bool:
        """Whether the one-step form is exact in float64, products and sums."""
        span = 2.0 ** np.ceil(np.log2(max(self.high - self.zero_point, self.zero_point - self.low, 1) + 2))
        reach = np.minimum(self.largest * np.abs(self._affine[0]), span) + np.abs(self.offsets) + 2
        return bool((np.ldexp(reach, self._fraction_bits) <= _EXACT).all())

    @functools.cached_property
    def _tensors(self) -> dict[Any, tuple[torch.Tensor, ...]]:
        return {}

    def _repeated(
        self, arrays: Sequence[np.ndarray], times: int, device: torch.device, dtype: torch.dtype
    ) -> tuple[torch.Tensor, ...]:
        """One value per channel for so many rows in one, kept for the next call of the same kind."""
        key = len(arrays), times, device, dtype
        if key not in self._tensors:
            self._tensors[key] = tuple(_tensor(np.tile(v, times), device, dtype) for v in arrays)
        return self._tensors[key]

    @property
    def _fraction_bits(self) -> np.ndarray:
        return 15 - self.shifts if self.wide else 31 + np.maximum(-self.shifts, 0)

    @property
    def _two_sided(self) -> bool:
        return not self.wide and self.low < self.zero_point < self.high and bool((self.shifts < 0).any())

    @functools.cached_property
    def _tilts(self) -> np.ndarray:
        return np.where(self.shifts < 0, np.ldexp(0.5, np.minimum(self.shifts, 0)), 0.0)

    @functools.cached_property
    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Factors and addends of each channel, zero point included, without the tilt of both sides."""
        if self.wide:
            return np.ldexp(self._reduced.astype(np.float64), self.shifts - 15), self.offsets + 0.5
        side = 0 if self._two_sided else 1 if self.low >= self.zero_point else -1
        return self.real, self.offsets + 0.5 + side * self._tilts

    @property
    def _reduced(self) -> np.ndarray:
        """int16x8's multipliers of 16 bits."""
        return np.where(self.multipliers < 0x7FFF0000, (self.multipliers + (1 << 15)) >> 16, 0x7FFF)

    @functools.cached_property
    def _inside(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest accumulator whose unrounded code lies inside the clamp."""
        least, most = [], []
        for multiplier, shift in zip(self.multipliers.tolist(), self.shifts.tolist(), strict=True):
            step = multiplier << max(shift, 0)  # of the code, in units of 2^-unit
            unit = 31 + max(-shift, 0)
            least.append(-((self.zero_point - self.low << unit) // step) if step else -np.inf)
            most.append((self.high - self.zero_point << unit) // step if step else np.inf)
        ends = np.array(least, np.float64), np.array(most, np.float64)
        nowhere = ends[0] > ends[1]  # the clamp lies between two neighbouring accumulators
        return np.where(nowhere, np.inf, ends[0]), np.where(nowhere, np.inf, ends[1])

    def _scale_in_halves(self, accumulators: torch.Tensor) -> torch.Tensor:
        """Scaled accumulators and offsets, by both roundings: products with 16 bits of the multiplier.

        floor((u 2^16 + l + 2^30) / 2^31) = floor((u + floor((l + 2^30) / 2^16)) / 2^15)
        """
        left, right = np.maximum(self.shifts, 0), np.maximum(-self.shifts, 0)
        upper, lower, last, offsets = (
            _tensor(values, accumulators.device, torch.float64)
            for values in (
                np.ldexp((self.multipliers >> 16).astype(np.float64), left),
                np.ldexp((self.multipliers & 0xFFFF).astype(np.float64), left),
                np.ldexp(1.0, -right),
                self.offsets,
            )
        )
        sums = accumulators.to(torch.float64)
        carried = (sums * lower).add_(2.0**30).mul_(2.0**-16).floor_()
        high = (sums * upper).add_(carried).mul_(2.0**-15).floor_().mul_(last)
        half = torch.tensor(0.5, dtype=high.dtype, device=high.device)
        return high.add_(torch.copysign(half, high)).trunc_().add_(offsets)

    def _scale_int64(self, accumulators: torch.Tensor) -> torch.Tensor:
        """Scaled accumulators and offsets by int16x8's rule."""

        constants = (self.multipliers, self.shifts, self.offsets)
        multipliers, shifts, offsets = (torch.from_numpy(v).to(accumulators.device) for v in constants)
        rule = straight_through.multiply_by_quantized_multiplier_int64
        return rule(accumulators, multipliers, shifts) + offsets


def _joined_halves(lower: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
    sums = torch.empty(lower.shape, dtype=torch.float64, device=lower.device)
    for low, high, joined in blocks(lower, upper, sums):
        joined.copy_(low).add_(scratch(1, high)[0].copy_(high), alpha=256)
    return sums


_kept = threading.local()  # a thread's scratch: touching new memory costs more than the arithmetic


def scratch(count: int, like: torch.Tensor) -> torch.Tensor:
    """float64 scratch (count, *like.shape) of this thread, until its next call."""
    size = count * like.numel()
    space = getattr(_kept, "space", None)
    if space is None or space.numel() < size or space.device != like.device:
        with torch.inference_mode(False):  # it may serve outside of that mode next
            space = _kept.space = torch.empty(size, dtype=torch.float64, device=like.device)
    return space[:size].view(count, *like.shape)


def _joined(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Views of contiguous (rows, channels) with rows of few channels joined, and how many in one."""
    rows, channels = a.shape
    joined = 1 if channels >= _NARROW or not rows else min(64, rows & -rows)
    shape = rows // joined, channels * joined
    return a.view(shape), b.view(shape), joined


def _tensor(values: np.ndarray, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    with torch.inference_mode(False):  # it may serve outside of that mode next
        return torch.from_numpy(values).to(device, dtype)
