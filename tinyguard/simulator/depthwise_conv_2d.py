# SPDX-License-Identifier: Apache-2.0
"""DEPTHWISE_CONV_2D in torch: a convolution of as many groups as input channels."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.depthwise_conv_2d import DepthwiseConv2D
from tinyguard.simulator.accumulating import AccumulatingLayer
from tinyguard.simulator.convolutions import convolution
from tinyguard.simulator.sums import LinearMap


class DepthwiseConv2DLayer(AccumulatingLayer):
    of: ClassVar = (DepthwiseConv2D,)
    operator: DepthwiseConv2D

    @property
    def makes_bytes(self) -> bool:
        return self.sums_to_bytes

    def linear_map(self, device: torch.device) -> LinearMap:
        operator = self.operator
        source = operator.source
        weights, scaled, bias = self.weights_and_bias(device)
        weights, scaled = weights.permute(3, 0, 1, 2), scaled.permute(3, 0, 1, 2)
        windows = operator.rows, operator.columns, source.shape[3]
        return convolution(weights, scaled, (bias, self.folded_bias(bias)), source.zero_point, *windows)
