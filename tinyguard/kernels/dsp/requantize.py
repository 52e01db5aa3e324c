# SPDX-License-Identifier: Apache-2.0
"""Parameters of the five-instruction requantization, exact double rounding, and when it holds.

SMMLAR of the doubled accumulator with the multiplier is gemmlowp's doubling high multiply; half of
2^shift and the output's zero point ride in its addend, the accumulator's sign turns round half up into
ties away from zero, an arithmetic shift and SSAT do the rest.
"""

import numpy as np

_LARGEST_SHIFT = 22  # the zero point, shifted, and the half stay inside 32 bits beside the product


def requantization_words(
    multipliers: np.ndarray, shifts: np.ndarray, zero_point: int, largest: int
) -> np.ndarray | None:
    """int32 (channels, 3): multiplier, round and shift to the right; None where a channel does not allow it.

    `largest` bounds the absolute accumulators, bias included, before doubling.
    """
    if largest >= 2**30:
        return None
    words = []
    for multiplier, shift in zip(multipliers.tolist(), (-shifts.astype(np.int64)).tolist(), strict=True):
        if multiplier == 0 or (shift > _LARGEST_SHIFT and largest < 2 ** (shift - 1)):
            multiplier, shift = 0, 1  # every output is the zero point
        if not 1 <= shift <= _LARGEST_SHIFT:
            return None
        words.append((multiplier, (1 << (shift - 1)) + (zero_point << shift), shift))
    return np.array(words, np.int32)
