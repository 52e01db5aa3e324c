# SPDX-License-Identifier: Apache-2.0
"""ADD and SUB of int16 codes in float64 torch, by the stages of TFLite's own arithmetic.

Either operand, scaled by 2^15 M 2^(-31-r), and the sum of both, scaled by M 2^(-31-r), are rounded as
`requantization` has it: floor(x a + 1/2 + tilt) for x >= 0, floor(x a + 1/2 - tilt) for x < 0. The operands'
products have 47 bits at most and are exact. Those of the sum may be rounded; but the code is a monotone
function of the sum, in float64 too, so both are equal everywhere when they are around each of its steps.
Multiplications and additions are separate operations, so that no fused one rounds otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from tinyguard.arithmetic import Multiplier, fixed_point
from tinyguard.native import loops
from tinyguard.simulator.requantization import scratch

_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class StagedPair:
    """`a` and `b` are the real factors of the codes, for the gradient; `low` and `high` are the clamp."""

    a: float
    b: float
    operands: tuple[Multiplier, Multiplier]  # of codes shifted to the left by 15
    output: Multiplier
    subtract: bool
    low: int
    high: int

    def fill(
        self, x: torch.Tensor, y: torch.Tensor, codes: torch.Tensor, outside: torch.Tensor | None = None
    ) -> None:
        """Write the codes, and whether the real sum lies outside the clamp."""
        if loops.serves(x, y, codes):
            stages = tuple((math.ldexp(m.real, 15), _tilt(-m.shift)) for m in self.operands)
            inside = self.low / self.output.real, self.high / self.output.real
            stages = *stages, (self.output.real, _tilt(-self.output.shift))
            clamp = self.low, self.high
            return loops.staged_pair(x, y, stages, self.subtract, inside, clamp, codes, outside)
        first, second, space = scratch(3, x)
        for codes_of, target, multiplier in zip((x, y), (first, second), self.operands, strict=True):
            _round(target.copy_(codes_of), space, math.ldexp(multiplier.real, 15), -multiplier.shift)
        total = first.sub_(second) if self.subtract else first.add_(second)
        if outside is not None:
            least, most = (edge / self.output.real for edge in (self.low, self.high))
            outside.copy_(torch.clamp(total, least, most, out=second).sub_(total))
        self.finish(total, space, codes)

    def finish(self, total: torch.Tensor, space: torch.Tensor, codes: torch.Tensor) -> None:
        """Write the codes of sums, which are overwritten as `space` is."""
        _round(total, space, self.output.real, -self.output.shift, upwards=self.low >= 0)
        codes.copy_(total.clamp_(self.low, self.high))


def find(
    operands: tuple[Multiplier, Multiplier],
    output: Multiplier,
    factors: tuple[float, float],
    clamp: tuple[int, int],
    subtract: bool,
) -> StagedPair | None:
    """The sum in float64; None where a product's rounding changes a code."""
    if not (output.value and all(m.shift <= 0 for m in (*operands, output))):
        return None
    pair = StagedPair(*factors, operands, output, subtract, *clamp)
    steps = np.arange(clamp[0] + 1, clamp[1] + 1)
    near = np.rint((steps - 0.5) / output.real).clip(_INT32.min, _INT32.max).astype(np.int64)
    sums = (near[:, None] + np.arange(-2, 3)).clip(_INT32.min, _INT32.max)
    exact = fixed_point.multiply_by_quantized_multiplier(sums, output.value, output.shift)
    reached = (exact[:, -1] >= steps) | (sums[:, -1] == _INT32.max)
    if not (reached & ((exact[:, 0] < steps) | (sums[:, 0] == _INT32.min))).all():
        return None
    total = torch.from_numpy(sums).to(torch.float64)
    codes = torch.empty_like(total)
    pair.finish(total, torch.empty_like(total), codes)
    return pair if np.array_equal(codes.numpy(), exact.clip(*clamp)) else None


def _round(x: torch.Tensor, space: torch.Tensor, factor: float, right: int, upwards: bool = False) -> None:
    """Scale and round x in place; `upwards` serves where codes below 0 are clamped."""
    tilt = _tilt(right)
    if upwards or not tilt:
        x.mul_(factor).add_(0.5 + tilt).floor_()
    else:
        torch.copysign(torch.tensor(tilt, dtype=x.dtype, device=x.device), x, out=space)
        x.mul_(factor).add_(space.add_(0.5)).floor_()


def _tilt(right: int) -> float:
    return math.ldexp(0.5, -right) if right else 0.0
