# SPDX-License-Identifier: Apache-2.0
"""TFLite's integer arithmetic, exact, in NumPy: the one reference of the whole house.

`fixed_point` is gemmlowp's double rounding and TFLite's multiplier encoding, `exponential` the
fixed-point exp and reciprocal of softmax, logistic and tanh, `straight_through` the same
requantization in torch with a gradient.
"""

from tinyguard.arithmetic.fixed_point import (
    Multiplier,
    multiply_by_quantized_multiplier,
    multiply_by_quantized_multiplier_int64,
    quantize_multiplier,
    requantize,
    rounding_divide_by_pot,
    saturating_left_shift,
    saturating_rounding_doubling_high_mul,
)

__all__ = [
    "Multiplier",
    "multiply_by_quantized_multiplier",
    "multiply_by_quantized_multiplier_int64",
    "quantize_multiplier",
    "requantize",
    "rounding_divide_by_pot",
    "saturating_left_shift",
    "saturating_rounding_doubling_high_mul",
]
