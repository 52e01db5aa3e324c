# SPDX-License-Identifier: Apache-2.0
"""CONV_2D. Source: TFLite `reference/integer_ops/conv.h`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families import window
from tinyguard.operators.families.accumulating import Accumulating


class Conv2D(Accumulating):
    """NHWC input, OHWI weights; any stride, dilation, padding and groups; int8 and int16x8."""

    names: ClassVar = ("CONV_2D",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require(len(source.shape) == 4, f"input of rank {len(source.shape)}")
        weights = self.input_tensor(1)
        self.require(len(weights.shape) == 4, f"weights of rank {len(weights.shape)}")
        channels, kernel_height, kernel_width, depth = weights.shape
        self.require(
            depth > 0 and source.shape[3] % depth == 0,
            f"{depth} weight channels on {source.shape[3]} input channels",
        )
        self.groups = source.shape[3] // depth
        self.require(channels % self.groups == 0, f"{channels} output channels in {self.groups} groups")
        self.rows, self.columns = window.axes(
            self,
            source.shape,
            (kernel_height, kernel_width),
            (self.option("dilation_h_factor", 1), self.option("dilation_w_factor", 1)),
        )
        expected = (source.shape[0], self.rows.output, self.columns.output, channels)
        self.require(output.shape == expected, f"output of shape {output.shape}, expected {expected}")
        self.prepare_sums(0, 1, 2, channel_axis=0)

    @property
    def macs(self) -> int:
        return self.outputs[0].elements * int(np.prod(self.weights.shape[1:]))

    @property
    def bytes_per_sample(self) -> int:
        """Those of the unfolded patches."""
        pixels = self.input_tensor(0).shape[0] * self.rows.output * self.columns.output
        return 8 * pixels * self.groups * int(np.prod(self.weights.shape[1:]))

    def sums(self, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        channels = self.outputs[0].shape[3]
        per_group = weights.reshape(self.groups, channels // self.groups, -1)
        matrices = per_group.transpose(0, 2, 1)  # (groups, taps, channels)
        centred = codes.astype(weights.dtype) - self.source.zero_point
        padded = window.padded(centred, self.rows, self.columns, 0)
        patches = window.patches(padded, self.rows, self.columns)
        grouped = patches.reshape(*patches.shape[:5], self.groups, -1)
        grouped = np.moveaxis(grouped, 5, 0).reshape(self.groups, -1, matrices.shape[1])
        sums = grouped @ matrices  # (groups, pixels, channels of the group)
        return sums.transpose(1, 0, 2).reshape(len(codes), self.rows.output, self.columns.output, channels)

    def emit(self, c: Emission) -> str:
        source, output = self.input_tensor(0), self.outputs[0]
        c.kernel("conv_2d.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        weights = c.constant("weights", self.weights, "output channel, row, column, input channel")
        parameters = self.emit_parameters(c)
        shape = c_shape(
            "tg_conv_2d_shape",
            batches=source.shape[0],
            groups=self.groups,
            input_height=source.shape[1],
            input_width=source.shape[2],
            input_channels=source.shape[3],
            output_height=output.shape[1],
            output_width=output.shape[2],
            output_channels=output.shape[3],
            **window.fields(self.rows, self.columns),
            dilation_height=self.rows.dilation,
            dilation_width=self.columns.dilation,
            **self.requantization_fields(source),
        )
        return f"{shape}\ntg_conv_2d_{suffix}(&shape, {c.input(0)}, {weights}, {parameters}, {c.output()});"
