# SPDX-License-Identifier: Apache-2.0
"""Bit-depth reduction: codes on 2^bits evenly spaced levels.

Colour depth squeezing of feature squeezing (Xu et al. 2018, arXiv 1704.01155).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic.tables import ALL_INT8
from tinyguard.operators.base import Emission
from tinyguard.operators.families.filter import Filter

CODES = 255
_BITS = range(1, 8)


class BitDepthFilter(Filter):
    """With u = code + 128 and n = 2^bits - 1: level = round(u n / 255), code = round(level 255 / n) - 128,
    both half up; the ends of the range stay. `table` is int8 (256,), indexed by a code cast to uint8."""

    names: ClassVar = ("FILTER_BIT_DEPTH",)

    def prepare_filter(self) -> None:
        self.levels = 2 ** self.number("bits", _BITS) - 1
        level = ((ALL_INT8.astype(np.int64) + 128) * 2 * self.levels + CODES) // (2 * CODES)
        self.table = ((level * 2 * CODES + self.levels) // (2 * self.levels) - 128).astype(np.int8)

    def filtered(self, images: np.ndarray) -> np.ndarray:
        return self.table[images.view(np.uint8)]

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    def emit(self, c: Emission) -> str:
        c.kernel("lookup.h")
        table = c.constant("table", self.table, "output code of input codes 0 to 127, -128 to -1")
        return f"tg_lookup_s8({c.input(0)}, {table}, {self.outputs[0].elements}, {c.output()});"
