# SPDX-License-Identifier: Apache-2.0
"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR. Source: TFLite `reference/resize_nearest_neighbor.h`
and `reference/resize_bilinear.h` (ResizeBilinearInteger)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission, Operator, c_shape

LARGEST = 2**15  # rows or columns: the tables are int16
ONE = 1 << 10  # bilinear positions are in 1/1024 of an input element


class Resize(Operator):
    """NHWC input to the rows and columns of a constant input 1; quantization passes through."""

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_codes(source, output)
        self.require(len(source.shape) == 4, f"input of rank {len(source.shape)}")
        size = tuple(int(n) for n in np.ravel(self.constant_input(1)))
        self.require(len(size) == 2 and min(size) > 0 and max(size) <= LARGEST, f"resize to {size}")
        self.require(
            min(source.shape) > 0 and max(source.shape[1:3]) <= LARGEST, f"resize of shape {source.shape}"
        )
        expected = (source.shape[0], *size, source.shape[3])
        self.require(output.shape == expected, f"output of shape {output.shape}, expected {expected}")
        self.align = bool(self.option("align_corners", False))
        self.half = bool(self.option("half_pixel_centers", False))
        self.require(not (self.align and self.half), "align_corners together with half_pixel_centers")
        self.prepare_axes(source.shape[1:3], (size[0], size[1]))

    def prepare_axes(self, sizes: tuple[int, ...], outputs: tuple[int, int]) -> None:
        """Where every output row and column comes from; raise Unsupported."""
        raise NotImplementedError

    def emit_resize(self, c: Emission, tables: str) -> str:
        """The call of the kernel named as the operator, which takes `tables` after its shape."""
        source, output = self.input_tensor(0), self.outputs[0]
        kernel = self.names[0].lower()
        c.kernel(f"{kernel}.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        shape = c_shape(
            "tg_resize_shape",
            batches=source.shape[0],
            input_height=source.shape[1],
            input_width=source.shape[2],
            channels=source.shape[3],
            output_height=output.shape[1],
            output_width=output.shape[2],
        )
        return f"{shape}\ntg_{kernel}_{suffix}(&shape, {tables}, {c.input(0)}, {c.output()});"


class ResizeNearestNeighbor(Resize):
    """Every output element is one input element."""

    names: ClassVar = ("RESIZE_NEAREST_NEIGHBOR",)

    def prepare_axes(self, sizes: tuple[int, ...], outputs: tuple[int, int]) -> None:
        self.rows, self.columns = (self._nearest(n, m) for n, m in zip(sizes, outputs, strict=True))

    def _nearest(self, size: int, output: int) -> np.ndarray:
        """The input index of every output index, int16, by GetNearestNeighbor's float32 steps."""
        if self.align and output > 1:
            scale = np.float32(size - 1) / np.float32(output - 1)
        else:
            scale = np.float32(size) / np.float32(output)
        offset = np.float32(0.5 if self.half else 0.0)
        position = (np.arange(output, dtype=np.float32) + offset) * scale
        rounding = 0.5 if self.align else 0.0  # std::round, half away from zero, or floor
        index = np.floor(position.astype(np.float64) + rounding)
        return np.clip(index, 0, size - 1).astype(np.int16)

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        return (np.ascontiguousarray(x[:, :, self.rows][:, :, :, self.columns]),)

    def emit(self, c: Emission) -> str:
        rows = c.constant("rows", self.rows, "input row of every output row")
        columns = c.constant("columns", self.columns, "input column of every output column")
        return self.emit_resize(c, f"{rows}, {columns}")


@dataclass(frozen=True)
class Positions:
    """Of every output row or column: the input elements on either side, and the weight of the upper.

    `fraction` is in 1/1024 and, at the borders with half-pixel centres, below 0.
    """

    lower: np.ndarray
    upper: np.ndarray
    fraction: np.ndarray

    @property
    def table(self) -> np.ndarray:
        """int16 (output, 3): lower, upper, fraction."""
        return np.stack([self.lower, self.upper, self.fraction], axis=1).astype(np.int16)


class ResizeBilinear(Resize):
    """The weighted mean of four input elements, in fixed point, rounded half away from zero."""

    names: ClassVar = ("RESIZE_BILINEAR",)

    def prepare_axes(self, sizes: tuple[int, ...], outputs: tuple[int, int]) -> None:
        self.rows, self.columns = (self._positions(n, m) for n, m in zip(sizes, outputs, strict=True))

    def _positions(self, size: int, output: int) -> Positions:
        """ComputeInterpolationValuesInteger for every output index."""
        step = (ONE * size + output // 2) // output
        if self.align and output > 1:
            step = (ONE * (size - 1) + (output - 1) // 2) // (output - 1)
        position = np.arange(output, dtype=np.int64) * step
        self.require(int(position[-1]) + step < 2**31, f"resize of {size} to {output}")
        if self.half:
            position += step // 2 - ONE // 2
        lower = np.maximum(np.where(position < 0, 0, position // ONE), 0)  # C divides towards zero
        upper = np.minimum(np.where(position > -ONE, (position + ONE - 1) // ONE, 0), size - 1)
        # The reference's step is rounded: far enlargements run past the input, where it reads what is there.
        self.require(int(lower.max()) < size, f"resize of {size} to {output}")
        return Positions(lower, upper, position - ONE * lower)

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        total = self._interpolate(x.astype(np.int64))
        half = 1 << 19
        codes = np.where(total > 0, (total + half) >> 20, -((half - total) >> 20))
        return (codes.astype(self.outputs[0].dtype),)

    def _interpolate(self, x: np.ndarray) -> np.ndarray:
        down = self.rows.fraction[:, None, None]
        across = self.columns.fraction[:, None]
        above, below = x[:, :, self.rows.lower], x[:, :, self.rows.upper]
        left, right = self.columns.lower, self.columns.upper
        upper = above[:, :, :, left] * (ONE - across) + above[:, :, :, right] * across
        lower = below[:, :, :, left] * (ONE - across) + below[:, :, :, right] * across
        return np.asarray(upper * (ONE - down) + lower * down)

    def emit(self, c: Emission) -> str:
        rows = c.constant(
            "rows", self.rows.table, "input rows above and below, weight of the latter in 1/1024"
        )
        columns = c.constant("columns", self.columns.table, "the same for columns")
        return self.emit_resize(c, f"{rows}, {columns}")
