# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals of proportions."""

import math

_Z95 = 1.959963984540054


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of `hits` out of `count` (Wilson 1927, score interval); (0, 1) for no samples."""
    if count == 0:
        return 0.0, 1.0
    share, squared = hits / count, _Z95 * _Z95 / count
    middle = (share + squared / 2) / (1 + squared)
    half = _Z95 * math.sqrt(share * (1 - share) / count + squared / (4 * count)) / (1 + squared)
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == count else middle + half
    return low, high
