# SPDX-License-Identifier: Apache-2.0
"""gemmlowp's fixed-point arithmetic and TFLite's multipliers, exact, in NumPy.

Source: gemmlowp `fixedpoint/fixedpoint.h`; TFLite `kernels/internal/common.h` (double rounding) and
`quantization_util.cc`. Arguments are arrays of any integer dtype and broadcast; results are int64
arrays that hold int32 values.
"""

import math
from dataclasses import dataclass

import numpy as np

INT32_MIN = -(2**31)
INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Multiplier:
    """A positive real as value * 2**(shift - 31): `value` in [2**30, 2**31), shift > 0 to the left."""

    value: int
    shift: int

    @property
    def real(self) -> float:
        return math.ldexp(self.value, self.shift - 31)


def quantize_multiplier(real: float) -> Multiplier:
    """TFLite's QuantizeMultiplier of a double >= 0; below 2**-32 it becomes 0."""
    if real == 0.0:
        return Multiplier(0, 0)
    mantissa, shift = math.frexp(real)
    scaled = mantissa * (1 << 31)
    value = math.floor(scaled + 0.5)
    if value == 1 << 31:
        value //= 2
        shift += 1
    if shift < -31:
        return Multiplier(0, 0)
    return Multiplier(value, shift)


def saturating_rounding_doubling_high_mul(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """round_half_up(a * b / 2**31); the one overflow (both INT32_MIN) saturates."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    # gemmlowp divides with truncation after a nudge of the product's sign: that is round half up.
    return np.minimum((product + (1 << 30)) >> 31, INT32_MAX)


def rounding_divide_by_pot(x: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """x / 2**exponent, rounded to nearest, ties away from zero."""
    x = np.asarray(x, np.int64)
    exponent = np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def saturating_left_shift(x: np.ndarray, amount: int) -> np.ndarray:
    """x * 2**amount, saturated to int32."""
    return np.clip(np.asarray(x, np.int64) << amount, INT32_MIN, INT32_MAX)


def multiply_by_quantized_multiplier(
    x: np.ndarray, value: np.ndarray | int, shift: np.ndarray | int
) -> np.ndarray:
    """TFLite's MultiplyByQuantizedMultiplier on int32 `x`, double rounding.

    `value` and `shift` broadcast against `x` (per channel: the last axis).
    """
    shift = np.asarray(shift, np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    shifted = np.asarray(x, np.int64) << left
    wrapped = ((shifted - INT32_MIN) & 0xFFFFFFFF) + INT32_MIN  # the C code multiplies in int32
    return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(wrapped, value), right)


def multiply_by_quantized_multiplier_int64(
    x: np.ndarray, value: np.ndarray | int, shift: np.ndarray | int
) -> np.ndarray:
    """The same on int64 `x` in (-2**47, 2**47), as int16x8 has it: one rounding, 16-bit multiplier."""
    value = np.asarray(value, np.int64)
    reduced = np.where(value < 0x7FFF0000, (value + (1 << 15)) >> 16, 0x7FFF)
    total = 15 - np.asarray(shift, np.int64)
    return (np.asarray(x, np.int64) * reduced + (np.int64(1) << (total - 1))) >> total


def requantize(
    accumulator: np.ndarray,
    value: np.ndarray | int,
    shift: np.ndarray | int,
    zero_point: int,
    low: int,
    high: int,
) -> np.ndarray:
    """Accumulator to output codes: multiply, add the zero point, clamp. Returns int64."""
    scaled = multiply_by_quantized_multiplier(accumulator, value, shift)
    return np.clip(scaled + zero_point, low, high)
