# SPDX-License-Identifier: Apache-2.0
"""Filters that look at a small window around each element: what mean, Gaussian and median share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families.filter import Filter
from tinyguard.operators.target import Target


class WindowFilter(Filter):
    """A square window of `size` rows and columns: `before` of them precede an element, `after` follow it.

    An even window begins at the element. One channel's elements lie `channels` apart.
    """

    sizes: ClassVar[tuple[int, ...]]
    kernel: ClassVar[str]  # of the C function tg_filter_KERNEL_SIZE in filter_KERNEL.h
    size: int

    def prepare_filter(self) -> None:
        self.size = self.number("size", self.sizes)
        self.before, self.after = (self.size - 1) // 2, self.size // 2

    def taps(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Each tap of the window, row by row: (N, height, width, channels) views of codes."""
        sides = (self.before, self.after)
        padded = np.pad(images, ((0, 0), sides, sides, (0, 0)), mode="edge")
        for y in range(self.size):
            for x in range(self.size):
                yield padded[:, y : y + self.height, x : x + self.width]

    @property
    def in_place(self) -> tuple[int, ...]:
        """Rows are copied to the scratch before their place is written."""
        return (0,)

    def scratch_bytes(self, target: Target) -> int:
        """As many rows as the window has, with their borders."""
        del target
        return self.size * (self.width + self.before + self.after) * self.channels

    def emit(self, c: Emission) -> str:
        return self.emit_window(c, f"filter_{self.kernel}.h", f"tg_filter_{self.kernel}_{self.size}")

    def emit_window(self, c: Emission, header: str, function: str) -> str:
        """The call of a function of `header`."""
        c.kernel(header)
        shape = c_shape(
            "tg_filter_shape",
            height=self.height,
            width=self.width,
            channels=self.channels,
            before=self.before,
            after=self.after,
        )
        return f"{shape}\n{function}(&shape, {c.input(0)}, {c.scratch()}, {c.output()});"
