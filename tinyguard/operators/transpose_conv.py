# SPDX-License-Identifier: Apache-2.0
"""TRANSPOSE_CONV. Source: TFLite `reference/integer_ops/transpose_conv.h`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families import window
from tinyguard.operators.families.accumulating import Accumulating


class TransposeConv(Accumulating):
    """Inputs: output shape, OHWI weights, NHWC codes, optional bias; int8 and int16x8.

    `rows` and `columns` describe the window that the reference slides over the *output*.
    """

    names: ClassVar = ("TRANSPOSE_CONV",)

    def prepare(self) -> None:
        weights, source, output = self.input_tensor(1), self.input_tensor(2), self.outputs[0]
        self.require(len(source.shape) == 4, f"input of rank {len(source.shape)}")
        self.require(len(weights.shape) == 4, f"weights of rank {len(weights.shape)}")
        channels, kernel_height, kernel_width, depth = weights.shape
        self.require(depth == source.shape[3], f"{depth} weight channels on {source.shape[3]} input channels")
        shape = tuple(int(n) for n in self.constant_input(0))
        self.require(output.shape == shape, f"output of shape {output.shape}, expected {shape}")
        self.require(
            len(shape) == 4 and shape[0] == source.shape[0] and shape[3] == channels,
            f"output of shape {shape} for input {source.shape} and {channels} channels",
        )
        kernel = (kernel_height, kernel_width)
        self.rows, self.columns = window.axes(self, output.shape, kernel, (1, 1))
        self.prepare_sums(2, 1, 3, channel_axis=0)

    @property
    def macs(self) -> int:
        return self.input_tensor(2).elements * int(np.prod(self.weights.shape[:3]))

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns that all taps together write, padding included."""
        _, height, width, _ = self.source.shape
        return (
            (height - 1) * self.rows.stride + self.rows.kernel,
            (width - 1) * self.columns.stride + self.columns.kernel,
        )

    def sums(self, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        source, output = self.source, self.outputs[0]
        centred = codes.astype(weights.dtype) - source.zero_point
        top, left = self.rows.before, self.columns.before
        height, width = self.reach
        size = max(height, top + output.shape[1]), max(width, left + output.shape[2])
        canvas = np.zeros((len(centred), *size, output.shape[3]), weights.dtype)
        for i in range(self.rows.kernel):
            for j in range(self.columns.kernel):
                rows = slice(i, i + (source.shape[1] - 1) * self.rows.stride + 1, self.rows.stride)
                columns = slice(j, j + (source.shape[2] - 1) * self.columns.stride + 1, self.columns.stride)
                canvas[:, rows, columns] += centred @ weights[:, i, j].T
        return canvas[:, top : top + output.shape[1], left : left + output.shape[2]]

    def emit(self, c: Emission) -> str:
        source, output = self.input_tensor(2), self.outputs[0]
        c.kernel("transpose_conv.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        weights = c.constant("weights", self.weights, "output channel, row, column, input channel")
        parameters = self.emit_parameters(c)
        shape = c_shape(
            "tg_transpose_conv_shape",
            batches=source.shape[0],
            input_height=source.shape[1],
            input_width=source.shape[2],
            input_channels=source.shape[3],
            output_height=output.shape[1],
            output_width=output.shape[2],
            output_channels=output.shape[3],
            **window.fields(self.rows, self.columns),
            **self.requantization_fields(source),
        )
        call = f"{c.input(2)}, {weights}, {parameters}, {c.output()}"
        return f"{shape}\ntg_transpose_conv_{suffix}(&shape, {call});"
