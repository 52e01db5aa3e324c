# SPDX-License-Identifier: Apache-2.0
"""Sliding windows: TFLite's padding rules and patches, shared by convolutions and pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyguard.operators.base import Operator

MOST_ELEMENTS = 2**28  # of one padded image: far above any network here, and still held in memory


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a window: sizes and steps in elements."""

    input: int
    kernel: int
    stride: int
    dilation: int
    output: int
    before: int  # padding before the first element

    @property
    def padded(self) -> int:
        """Elements with the padding on both sides."""
        return self.before + self.input + self.after

    @property
    def after(self) -> int:
        """Padding after the last element that the windows reach."""
        reach = (self.output - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
        return max(0, reach - self.before - self.input)

    def inside(self) -> np.ndarray:
        """How many taps of each window fall on the input, int64, one per output element."""
        starts = np.arange(self.output, dtype=np.int64) * self.stride - self.before
        taps = starts[:, None] + np.arange(self.kernel, dtype=np.int64) * self.dilation
        return np.asarray(((taps >= 0) & (taps < self.input)).sum(axis=1))

    def taps(self, kernel_index: int) -> slice:
        """The padded elements that tap `kernel_index` sees, one per output element."""
        start = kernel_index * self.dilation
        return slice(start, start + (self.output - 1) * self.stride + 1, self.stride)


def axis(
    size: int, kernel: int, stride: int, dilation: int, padding: str, sides: tuple[int, int] = (0, 0)
) -> Axis:
    """TFLite's ComputeOutSize and ComputePadding for padding "SAME" or "VALID".

    Padding "EXPLICIT" takes the elements before and after from `sides`; only passes write it.
    """
    effective = (kernel - 1) * dilation + 1
    if padding == "SAME":
        output = -(-size // stride)
        before = max(0, (output - 1) * stride + effective - size) // 2
    else:
        before = sides[0] if padding == "EXPLICIT" else 0
        after = sides[1] if padding == "EXPLICIT" else 0
        output = max(0, (before + size + after - effective + stride) // stride)
    return Axis(size, kernel, stride, dilation, output, before)


def axes(
    operator: Operator, shape: tuple[int, ...], kernel: tuple[int, int], dilation: tuple[int, int]
) -> tuple[Axis, Axis]:
    """Rows and columns of a window over `shape` (N, H, W, C), from the operator's stride and padding."""
    stride = operator.option("stride_h", 1), operator.option("stride_w", 1)
    padding = operator.option("padding", "SAME")
    operator.require(padding in ("SAME", "VALID", "EXPLICIT"), f"padding {padding}")
    sides = [
        (operator.option(f"pad_{before}", 0), operator.option(f"pad_{after}", 0))
        for before, after in (("top", "bottom"), ("left", "right"))
    ]
    operator.require(min(*kernel, *stride, *dilation) > 0, "a window, stride or dilation below 1")
    rows, columns = (
        axis(shape[1 + i], kernel[i], stride[i], dilation[i], padding, sides[i]) for i in range(2)
    )
    operator.require(rows.output > 0 and columns.output > 0, "a window larger than its input")
    padded_elements = (rows.padded * columns.padded) * shape[3]
    operator.require(padded_elements <= MOST_ELEMENTS, f"{padded_elements} elements after padding")
    return rows, columns


def fields(rows: Axis, columns: Axis) -> dict[str, int]:
    """The window in the words of every kernel's shape, but for dilation."""
    return {
        "kernel_height": rows.kernel,
        "kernel_width": columns.kernel,
        "stride_height": rows.stride,
        "stride_width": columns.stride,
        "pad_top": rows.before,
        "pad_left": columns.before,
    }


def padded(x: np.ndarray, rows: Axis, columns: Axis, fill: int) -> np.ndarray:
    """x (N, H, W, C) with `fill` around, as far as the windows reach."""
    widths = ((0, 0), (rows.before, rows.after), (columns.before, columns.after), (0, 0))
    return np.pad(x, widths, constant_values=fill)


def patches(x: np.ndarray, rows: Axis, columns: Axis) -> np.ndarray:
    """A view (N, OH, OW, KH, KW, C) of the windows of padded x (N, H, W, C)."""
    n, h, w, c = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (x.shape[0], rows.output, columns.output, rows.kernel, columns.kernel, x.shape[3]),
        (n, h * rows.stride, w * columns.stride, h * rows.dilation, w * columns.dilation, c),
        writeable=False,
    )
