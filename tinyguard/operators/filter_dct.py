# SPDX-License-Identifier: Apache-2.0
"""Block-DCT quantization, as JPEG does it to luminance, on each channel (Dziugaite et al., arXiv 1608.00853).

Blocks of 8x8 begin at the first element; where they reach beyond a border the outermost codes go on. With T
the orthonormal DCT-II times 2^11, rounded, and all shifts to the right rounding half up:

    rows     y = (x T') >> 8        in 1/8
    columns  z = (T y) >> 11        coefficients in 1/8
    level    q = sign(z) floor((|z| + 4 step) / (8 step))
    rows     y = ((q step) T) >> 8  in 1/8
    columns  x = (T' y) >> 14       clamped to -128 ... 127

`step` is the JPEG standard's table (ITU-T T.81, K.1) scaled by the quality as libjpeg scales it.
"""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families.filter import Filter
from tinyguard.operators.target import Target

SIDE = 8
TABLE_BITS = 11
_FORWARD = (8, 11)  # shifts of rows, columns; so is _BACK
_BACK = (8, 14)
_FRACTION = 8  # coefficients are in 1/8
_QUALITIES = range(1, 101)
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.int32,
)


@functools.cache
def cosines() -> np.ndarray:
    """int16 (frequency, position): the orthonormal DCT-II times 2^11."""
    k, n = np.arange(SIDE)[:, None], np.arange(SIDE)[None, :]
    size = np.where(k == 0, np.sqrt(1 / SIDE), np.sqrt(2 / SIDE))
    return np.rint(size * np.cos((2 * n + 1) * k * np.pi / (2 * SIDE)) * 2**TABLE_BITS).astype(np.int16)


class DCTFilter(Filter):
    """`quality` 1 to 100, as of JPEG files; `steps` int16 (8, 8) are what coefficients are rounded to."""

    names: ClassVar = ("FILTER_DCT",)

    def prepare_filter(self) -> None:
        quality = self.number("quality", _QUALITIES)
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        self.steps = np.clip((LUMINANCE * scale + 50) // 100, 1, 255).astype(np.int16)

    def filtered(self, images: np.ndarray) -> np.ndarray:
        # Sums stay below 2^24, so float32 products are exact.
        table = cosines().astype(np.float32)
        y = _shifted(self._blocks(images).astype(np.float32) @ table.T, _FORWARD[0])
        z = _shifted(table @ y.astype(np.float64), _FORWARD[1])
        step = self.steps.astype(np.int32) * _FRACTION
        level = np.sign(z) * ((np.abs(z) + step // 2) // step)
        y = _shifted((level * self.steps).astype(np.float32) @ table, _BACK[0])
        x = _shifted(table.T @ y.astype(np.float64), _BACK[1])
        return self._image(np.clip(x, -128, 127).astype(np.int8))

    @property
    def grid(self) -> tuple[int, int]:
        """Blocks down and across."""
        return -(-self.height // SIDE), -(-self.width // SIDE)

    def _blocks(self, images: np.ndarray) -> np.ndarray:
        """(N, blocks down, blocks across, channels, 8, 8)."""
        down, across = self.grid
        rest = (0, down * SIDE - self.height), (0, across * SIDE - self.width)
        padded = np.pad(images, ((0, 0), *rest, (0, 0)), mode="edge")
        shape = (len(images), down, SIDE, across, SIDE, self.channels)
        return padded.reshape(shape).transpose(0, 1, 3, 5, 2, 4)

    def _image(self, blocks: np.ndarray) -> np.ndarray:
        down, across = self.grid
        whole = blocks.transpose(0, 1, 4, 2, 5, 3)
        whole = whole.reshape(len(blocks), down * SIDE, across * SIDE, self.channels)
        return whole[:, : self.height, : self.width]

    def scratch_bytes(self, target: Target) -> int:
        """Two blocks in int32: one being transformed, one as the first pass left it."""
        del target
        return 2 * SIDE * SIDE * 4

    @property
    def in_place(self) -> tuple[int, ...]:
        """A block is read before it is written, and no other block reads it."""
        return (0,)

    def emit(self, c: Emission) -> str:
        c.kernel("filter_dct.h")
        shape = c_shape("tg_dct_shape", height=self.height, width=self.width, channels=self.channels)
        table = c.constant("cosines", cosines(), "frequency, position; times 2^11")
        steps = c.constant("steps", self.steps, "frequency down, across")
        return f"{shape}\ntg_filter_dct(&shape, {c.input(0)}, {table}, {steps}, {c.scratch()}, {c.output()});"


def _shifted(sums: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers in floats, divided by 2^bits and rounded half up, int32."""
    return np.floor(np.ldexp(sums.astype(np.float64) + 2.0 ** (bits - 1), -bits)).astype(np.int32)
