# SPDX-License-Identifier: Apache-2.0
"""Philox4x32-10: random bits that are a pure function of a key and a counter.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011); the vectors of its
reference implementation are a test.
"""

import numpy as np

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORD = 0xFFFFFFFF
_LOW, _HALF = np.uint64(_WORD), np.uint64(32)

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def philox4x32_arrays(counter: Arrays, key: tuple[int, int]) -> Arrays:
    """Four 32-bit words for each counter of four 32-bit words.

    All words are uint64 in [0, 2^32), in arrays of shapes that broadcast, of one dimension at least; `key` is
    two such numbers.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        # The second and fourth keep their upper halves, which are masked only where they would be multiplied.
        c0, c1, c2, c3 = _mixed(second, c1, k0), second, _mixed(first, c3, k1), first
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return c0, c1 & _LOW, c2, c3 & _LOW


def _mixed(product: np.ndarray, word: np.ndarray, key: int) -> np.ndarray:
    mixed = (product >> _HALF) ^ word
    mixed ^= np.uint64(key)
    mixed &= _LOW
    return mixed
