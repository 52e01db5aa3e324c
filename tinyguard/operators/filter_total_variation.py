# SPDX-License-Identifier: Apache-2.0
"""Total-variation denoising in fixed point (Rudin, Osher, Fatemi 1992), anisotropic, with rounded corners.

Gradient descent on 1/2 ||u - x||^2 + strength * sum over neighbours of huber(u_p - u_q), the absolute value
but for a parabola within `strength` codes of 0, which keeps flat areas from flickering. In units of 1/64
code, u from x on, with w = 64 * strength and a flow

    f = clamp(u_q - u_p, -w, w - 1)        from each element q to its left or upper neighbour p

all elements move at once by floor((flows in - flows out + x_p - u_p + 4) / 8). No flow crosses a border, and
u stays within the codes' range.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families.filter import Filter
from tinyguard.operators.target import Target

FRACTION_BITS = 6  # of a code
STEP_BITS = 3  # of the descent: a step of 1/8
_STRENGTHS = (1, 2, 4, 8, 16, 32)
_ITERATIONS = range(1, 101)
_BATCH_ELEMENTS = 1 << 18  # what stays in a processor's cache, in int16


class TotalVariationFilter(Filter):
    """`strength` in codes, a power of two; `iterations` of the descent."""

    names: ClassVar = ("FILTER_TOTAL_VARIATION",)

    def prepare_filter(self) -> None:
        self.strength = self.number("strength", _STRENGTHS)
        self.iterations = self.number("iterations", _ITERATIONS)

    @property
    def width_bits(self) -> int:
        """The clamp's ends are -2^bits and 2^bits - 1, in 1/64 code."""
        return FRACTION_BITS + self.strength.bit_length() - 1

    def filtered(self, images: np.ndarray) -> np.ndarray:
        step = max(1, _BATCH_ELEMENTS // (self.height * self.width * self.channels))
        parts = [self._descended(images[start : start + step]) for start in range(0, len(images), step)]
        return np.concatenate(parts) if parts else images.copy()

    def _descended(self, images: np.ndarray) -> np.ndarray:
        """int16 holds all: u lies in 0 to 16,320, so that no difference or sum exceeds 24,580."""
        low, high = -(1 << self.width_bits), (1 << self.width_bits) - 1
        wanted = (images.astype(np.int16) + np.int16(128)) << FRACTION_BITS
        u, space = wanted.copy(), np.empty_like(wanted)
        for _ in range(self.iterations):
            total = wanted - u
            total += np.int16(1 << STEP_BITS - 1)
            for axis in (1, 2):
                first = tuple(slice(None, -1) if a == axis else slice(None) for a in range(4))
                second = tuple(slice(1, None) if a == axis else slice(None) for a in range(4))
                flow = np.subtract(u[second], u[first], out=space[first])
                np.clip(flow, low, high, out=flow)
                total[first] += flow
                total[second] -= flow
            total >>= STEP_BITS
            u += total
        rounded = (u + np.int16(1 << FRACTION_BITS - 1)) >> FRACTION_BITS
        return np.asarray(rounded - 128).astype(np.int8)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    def scratch_bytes(self, target: Target) -> int:
        """u in int16, a pixel longer in every row, and the flows along a row and from the row above."""
        del target
        row = self.width * self.channels
        return 2 * (self.height * (row + self.channels) + row + self.channels + row)

    def emit(self, c: Emission) -> str:
        return self.emit_descent(c, "filter_total_variation.h", "tg_filter_total_variation")

    def emit_descent(self, c: Emission, header: str, function: str) -> str:
        """The call of a function of `header`."""
        c.kernel(header)
        shape = c_shape(
            "tg_total_variation_shape",
            height=self.height,
            width=self.width,
            channels=self.channels,
            iterations=self.iterations,
            width_bits=self.width_bits,
        )
        return f"{shape}\n{function}(&shape, {c.input(0)}, {c.scratch()}, {c.output()});"
