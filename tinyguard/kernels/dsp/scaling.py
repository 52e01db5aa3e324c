# SPDX-License-Identifier: Apache-2.0
"""Exact requantization on the DSP cores: seven instructions per output where every shift is to the right.

LSL 1 and SMMULR equal gemmlowp's doubling high multiply; the sign, added before the rounding shift, makes
its ties round away from zero. Both are exact for |sum| * 2^left < 2^30.
"""

from dataclasses import dataclass

import numpy as np

from tinyguard.operators.families.accumulating import Accumulating

_SUM_LIMIT = 2**30
_LARGEST_SHIFT = 22  # (zero point << shift) + 2^(shift - 1) + a scaled sum fit 32 bits


@dataclass(frozen=True)
class Scaling:
    """What the blocks need of an output channel.

    `bias` int64 (0 where `constant`). `parameters` int32, one row per channel: multiplier, round, shift; or
    with `wide` left shift, multiplier, second left shift, round, shift. `constant`: channels whose output is
    one code whatever comes in; their weights do not matter and must be taken as 0.
    """

    bias: np.ndarray
    parameters: np.ndarray
    wide: bool
    constant: np.ndarray


def scaling(operator: Accumulating) -> Scaling | None:
    """The scaling of an int8 operator, or None where sums may be too large for it."""
    least, most = _sum_range(operator)
    codes = [_codes(operator, bound) for bound in (least, most)]
    constant = codes[0] == codes[1]
    multipliers = np.where(constant, 0, operator.multipliers).astype(np.int64)
    shifts = np.where(constant, -1, operator.shifts).astype(np.int64)
    bias = np.where(constant, 0, operator.bias)
    largest = np.where(constant, 0, np.maximum(np.abs(least), np.abs(most)))
    left, right = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    if bool(((largest << left) >= _SUM_LIMIT).any()) or bool((right > 31).any()):
        return None
    zero_point = operator.outputs[0].zero_point
    if bool((right > 0).all()) and bool((right <= _LARGEST_SHIFT).all()):
        half = (np.int64(1) << (right - 1)) + (np.int64(zero_point) << right)
        round_ = np.where(constant, codes[0] << 1, half)
        return Scaling(bias, _int32(multipliers, round_, right), False, constant)
    again = np.where(right == 0, 1, 0)
    right = np.maximum(right, 1)
    round_ = np.where(constant, (codes[0] - zero_point) << 1, np.int64(1) << (right - 1))
    return Scaling(bias, _int32(left + 1, multipliers, again, round_, right), True, constant)


def _int32(*columns: np.ndarray) -> np.ndarray:
    return np.stack(columns, axis=1).astype(np.int32)


def _sum_range(operator: Accumulating) -> tuple[np.ndarray, np.ndarray]:
    """Least and most of each channel's sum with bias, over all input codes and partial windows."""
    low, high = (code - operator.input_tensor(0).zero_point for code in (-128, 127))
    rows = operator.weights.reshape(len(operator.bias), -1).astype(np.int64)
    positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    low, high = min(low, 0), max(high, 0)
    least = positive * low + negative * high + operator.bias
    return least, positive * high + negative * low + operator.bias


def _codes(operator: Accumulating, sums: np.ndarray) -> np.ndarray:
    """Output codes of sums with bias, one per channel; the scaling is monotonous."""
    return operator.requantize(sums - operator.bias).astype(np.int64)
