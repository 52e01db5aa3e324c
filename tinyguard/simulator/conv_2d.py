# SPDX-License-Identifier: Apache-2.0
"""CONV_2D in torch: by matrices, convolutions in float32, sums of bytes, or products in pairs."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.conv_2d import Conv2D
from tinyguard.operators.families import window
from tinyguard.simulator.accumulating import AccumulatingLayer
from tinyguard.simulator.convolutions import ByteConvolution, convolution
from tinyguard.simulator.sums import AnyMap, InHalves, LinearMap, in_pairs


class Conv2DLayer(AccumulatingLayer):
    of: ClassVar = (Conv2D,)
    operator: Conv2D

    @property
    def takes_bytes(self) -> bool:
        return isinstance(self.prepared_map(torch.device("cpu")), ByteConvolution)

    @property
    def makes_bytes(self) -> bool:
        return self.sums_to_bytes

    def linear_map(self, device: torch.device) -> LinearMap:
        operator = self.operator
        weights, scaled, bias = self.weights_and_bias(device)
        weights, scaled = weights.permute(0, 3, 1, 2), scaled.permute(0, 3, 1, 2)
        fits_bytes = operator.source.dtype == "int8" or self.in_halves
        biases, axes = (bias, self.folded_bias(bias)), (operator.rows, operator.columns)
        zero_point = operator.source.zero_point
        return convolution(weights, scaled, biases, zero_point, *axes, operator.groups, fits_bytes)

    def quickest(self, linear: LinearMap | InHalves) -> AnyMap:
        operator = self.operator
        if operator.groups > 1:
            return linear
        rows, columns = operator.rows, operator.columns
        windows = {
            "zero_point": operator.source.zero_point,
            "input_height": rows.input,
            "input_width": columns.input,
            "output_height": rows.output,
            "output_width": columns.output,
            **window.fields(rows, columns),
            "dilation_height": rows.dilation,
            "dilation_width": columns.dilation,
            "padded_height": rows.padded,
            "padded_width": columns.padded,
        }
        return in_pairs(linear, operator.weights, operator.moving_bias, windows, operator.largest_sum)
