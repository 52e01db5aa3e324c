# SPDX-License-Identifier: Apache-2.0
"""DEPTHWISE_CONV_2D. Source: TFLite `reference/integer_ops/depthwise_conv.h`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families import window
from tinyguard.operators.families.accumulating import Accumulating


class DepthwiseConv2D(Accumulating):
    """NHWC input, 1HWO weights with O = input channels * depth multiplier; int8 and int16x8."""

    names: ClassVar = ("DEPTHWISE_CONV_2D",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require(len(source.shape) == 4, f"input of rank {len(source.shape)}")
        weights = self.input_tensor(1)
        self.require(len(weights.shape) == 4 and weights.shape[0] == 1, f"weights of shape {weights.shape}")
        _, kernel_height, kernel_width, channels = weights.shape
        self.require(
            source.shape[3] > 0 and channels % source.shape[3] == 0,
            f"{channels} output channels of {source.shape[3]} input channels",
        )
        self.multiplier = channels // source.shape[3]
        self.rows, self.columns = window.axes(
            self,
            source.shape,
            (kernel_height, kernel_width),
            (self.option("dilation_h_factor", 1), self.option("dilation_w_factor", 1)),
        )
        expected = (source.shape[0], self.rows.output, self.columns.output, channels)
        self.require(output.shape == expected, f"output of shape {output.shape}, expected {expected}")
        self.prepare_sums(0, 1, 2, channel_axis=3)

    @property
    def macs(self) -> int:
        return self.outputs[0].elements * self.rows.kernel * self.columns.kernel

    def sums(self, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        centred = codes.astype(weights.dtype) - self.source.zero_point
        padded = window.padded(centred, self.rows, self.columns, 0)
        sums = np.zeros((len(codes), *self.outputs[0].shape[1:]), weights.dtype)
        for i in range(self.rows.kernel):
            for j in range(self.columns.kernel):
                seen = padded[:, self.rows.taps(i), self.columns.taps(j), :]
                sums += np.repeat(seen, self.multiplier, axis=3) * weights[0, i, j]
        return sums

    def emit(self, c: Emission) -> str:
        source, output = self.input_tensor(0), self.outputs[0]
        c.kernel("depthwise_conv_2d.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        weights = c.constant("weights", self.weights, "row, column, output channel")
        parameters = self.emit_parameters(c)
        shape = c_shape(
            "tg_depthwise_conv_2d_shape",
            batches=source.shape[0],
            input_height=source.shape[1],
            input_width=source.shape[2],
            input_channels=source.shape[3],
            output_height=output.shape[1],
            output_width=output.shape[2],
            depth_multiplier=self.multiplier,
            **window.fields(self.rows, self.columns),
            dilation_height=self.rows.dilation,
            dilation_width=self.columns.dilation,
            **self.requantization_fields(source),
        )
        call = f"{c.input(0)}, {weights}, {parameters}, {c.output()}"
        return f"{shape}\ntg_depthwise_conv_2d_{suffix}(&shape, {call});"
