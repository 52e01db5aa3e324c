# SPDX-License-Identifier: Apache-2.0
"""gemmlowp's fixed-point exp and reciprocal, exact, in NumPy: what the int8 softmax is made of.

Source: gemmlowp `fixedpoint/fixedpoint.h`. Arrays are int64 and hold int32 raw values; Qm.n stands
for m integer and n = 31 - m fractional bits, and 1.0 in Q0.31 is INT32_MAX.
"""

import numpy as np

from tinyguard.arithmetic.fixed_point import (
    INT32_MAX,
    rounding_divide_by_pot,
    saturating_left_shift,
    saturating_rounding_doubling_high_mul,
)

_multiply = saturating_rounding_doubling_high_mul

# Bit of the exponent counted from 1/4 upward -> exp(-2**bit / 4) in Q0.31.
_EXP_FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_EIGHTH = 1895147668  # exp(-1/8)
_THIRD = 715827883
_48_OVER_17 = 1515870810  # Q2.29
_MINUS_32_OVER_17 = -1010580540  # Q2.29


def _exp_of_last_quarter(a: np.ndarray) -> np.ndarray:
    """exp(a) for a in [-1/4, 0), Q0.31 to Q0.31: a Taylor polynomial around -1/8."""
    x = a + (1 << 28)
    x2 = _multiply(x, x)
    x3 = _multiply(x2, x)
    quarter_x4 = rounding_divide_by_pot(_multiply(x2, x2), 2)
    tail = rounding_divide_by_pot(_multiply(quarter_x4 + x3, _THIRD) + x2, 1)
    return _EXP_EIGHTH + _multiply(x + tail, _EXP_EIGHTH)


def exp_on_negative_values(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp(a) for a <= 0 in Q`integer_bits` (at most 5), as Q0.31."""
    a = np.asarray(a, np.int64)
    fractional_bits = 31 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    low_part = (a & (quarter - 1)) - quarter
    result = _exp_of_last_quarter(saturating_left_shift(low_part, integer_bits))
    remainder = low_part - a
    for bit, factor in enumerate(_EXP_FACTORS[: integer_bits + 2]):
        result = np.where(remainder & (quarter << bit), _multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def one_over_one_plus_x(a: np.ndarray) -> np.ndarray:
    """1 / (1 + a) for a in [0, 1], Q0.31 to Q0.31: three Newton-Raphson steps."""
    half_denominator = (np.asarray(a, np.int64) + INT32_MAX + 1) >> 1  # a + 1.0 is never negative
    x = _48_OVER_17 + _multiply(half_denominator, _MINUS_32_OVER_17)
    for _ in range(3):
        error = (1 << 29) - _multiply(half_denominator, x)
        x = x + saturating_left_shift(_multiply(x, error), 2)
    return saturating_left_shift(x, 1)
