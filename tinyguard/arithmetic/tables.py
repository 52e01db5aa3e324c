# SPDX-License-Identifier: Apache-2.0
"""TFLite's lookup tables, computed as TFLite populates them, and its interpolation between entries.

Source: TFLite `kernels/internal/common.h` (LUTPopulate, LUTLookup, sigmoid_table_uint16).
"""

from collections.abc import Callable

import numpy as np

ALL_INT8 = np.arange(256, dtype=np.uint8).view(np.int8)  # in the order of a table: 0 ... 127, -128 ... -1
INTERPOLATED_ENTRIES = 513
SIGMOID_ENTRIES = 256


def round_half_away(x: np.ndarray) -> np.ndarray:
    """Nearest integer in x's own floating dtype, ties away from zero, as std::round."""
    whole = np.trunc(x)
    return whole + np.sign(x) * (np.abs(x - whole) >= 0.5)  # x - trunc(x) is exact


def table_of_codes(
    function: Callable[[np.ndarray], np.ndarray],
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> np.ndarray:
    """int8 codes (256,), indexed by a code cast to uint8: a real function of int8 codes.

    TFLite computes in float32: `function` takes and returns float32.
    """
    centred = ALL_INT8.astype(np.int32) - input_zero_point
    real = np.float32(input_scale) * centred.astype(np.float32)
    inverse = np.float32(1) / np.float32(output_scale)
    rescaled = round_half_away(function(real) * inverse) + np.float32(output_zero_point)
    return np.clip(rescaled, -128, 127).astype(np.int8)


def interpolated_table(function: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> np.ndarray:
    """`function` at 513 even steps of [low, high] in Q0.15, biased against the midpoints' error; int16."""
    at = low + np.arange(INTERPOLATED_ENTRIES) * ((high - low) / 512)
    middle = low + np.arange(512) * ((high - low) / 512) + (high - low) / 1024
    gain = 65536 / (2.0 / 65535 * 65535)
    values, middles = function(at) * gain, round_half_away(function(middle) * gain)
    rounded = round_half_away(values)
    interpolated = round_half_away((values[1:] + rounded[:-1]) / 2)
    bias = np.append(round_half_away((interpolated - middles) / 2), 0.0)
    return np.clip(rounded - bias, -32768, 32767).astype(np.int16)


def exp_table() -> np.ndarray:
    """exp(x) for x in [-10, 0], int16 (513,) in Q0.15."""
    return interpolated_table(np.exp, -10.0, 0.0)


def one_over_one_plus_x_table() -> np.ndarray:
    """1 / (1 + x) for x in [0, 1], int16 (513,) in Q0.15."""
    return interpolated_table(lambda x: 1.0 / (1.0 + x), 0.0, 1.0)


def interpolate(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """`table` (513,) at int16 values x, linear between entries 128 codes apart; int64."""
    x = np.asarray(x, np.int64)
    entries = table.astype(np.int64)
    index = 256 + (x >> 7)
    base = entries[index]
    slope = ((entries[index + 1] - base + 32768) & 0xFFFF) - 32768  # the C code keeps it in int16
    return base + ((slope * (x & 127) + 64) >> 7)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), each step rounded to float32, exp correctly."""
    with np.errstate(over="ignore"):
        exp = np.exp(-x.astype(np.float64)).astype(np.float32)
    return np.float32(1) / (np.float32(1) + exp)


def tanh(x: np.ndarray) -> np.ndarray:
    """tanh(x), correctly rounded to float32."""
    return np.tanh(x.astype(np.float64)).astype(np.float32)


def sigmoid_table() -> np.ndarray:
    """sigmoid(i / 24) in Q0.16, uint16 (256,): each entry moved by half the midpoint's error after it."""

    def value(x: np.ndarray) -> np.ndarray:
        return 65536 / (1 + np.exp(-x / 24))

    at = np.arange(SIGMOID_ENTRIES, dtype=np.float64)
    error = (value(at) + value(at + 1)) / 2 - value(at + 0.5)
    entries = round_half_away(value(at) - error / 2).astype(np.uint16)
    entries[-1] = 65535  # the published table ends at its limit
    return entries


def checked_log2(x: np.float32) -> tuple[int, bool]:
    """TFLite's CheckedLog2: the nearest power of two, and whether x is within a thousandth of an octave."""
    octaves = np.log(x) * (np.float32(1) / np.log(np.float32(2)))
    nearest = round_half_away(octaves)
    return int(nearest), bool(abs(octaves - nearest) < np.float32(1e-3))
