# SPDX-License-Identifier: Apache-2.0
"""Probabilities in 1/256, their entropy by a table, and means of their codes: whole numbers alone."""

from __future__ import annotations

import functools

import numpy as np

from tinyguard.graph.answer import ENTROPY_UNITS

LEVELS = 256
"""Of a probability q/256; the code of an int8 softmax is q - 128."""


@functools.cache
def entropy_table() -> np.ndarray:
    """int16 (257,), not to be written to: -p log2 p of p = q/256, q from 0 to 256, in 1/1024 bit, rounded."""
    p = np.arange(LEVELS + 1) / LEVELS
    table = np.rint(-p * np.log2(np.maximum(p, 1e-300)) * ENTROPY_UNITS).astype(np.int16)
    table.setflags(write=False)
    return table


def mean_of(sums: np.ndarray, count: int | np.ndarray) -> np.ndarray:
    """The mean of `count` whole numbers from their sums, half up, by floor division."""
    return np.asarray((sums + count // 2) // count)
