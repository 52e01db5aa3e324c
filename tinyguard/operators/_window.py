"""Sliding windows: TFLite's padding rules and patches, shared by convolutions and pooling."""

from dataclasses import dataclass

import numpy as np


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
    def after(self) -> int:
        """Padding after the last element that the windows reach."""
        reach = (self.output - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
        return max(0, reach - self.before - self.input)


def axis(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Axis:
    """TFLite's ComputeOutSize and ComputePadding for padding "SAME" or "VALID"."""
    effective = (kernel - 1) * dilation + 1
    if padding == "SAME":
        output = -(-size // stride)
        before = max(0, (output - 1) * stride + effective - size) // 2
    else:
        output, before = max(0, (size - effective + stride) // stride), 0
    return Axis(size, kernel, stride, dilation, output, before)


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
