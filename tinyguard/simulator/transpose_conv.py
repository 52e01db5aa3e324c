# SPDX-License-Identifier: Apache-2.0
"""TRANSPOSE_CONV in torch: a transposed convolution, cropped or padded to the output."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.transpose_conv import TransposeConv
from tinyguard.simulator.accumulating import AccumulatingLayer
from tinyguard.simulator.convolutions import Transposed
from tinyguard.simulator.sums import LinearMap


class TransposeConvLayer(AccumulatingLayer):
    of: ClassVar = (TransposeConv,)
    operator: TransposeConv

    def linear_map(self, device: torch.device) -> LinearMap:
        operator = self.operator
        source, output = operator.source, operator.outputs[0]
        weights, scaled, bias = self.weights_and_bias(device)
        top, left = operator.rows.before, operator.columns.before
        height, width = operator.reach
        # A negative side of pad crops: taps that fall outside the output are dropped.
        sides = (-left, output.shape[2] + left - width, -top, output.shape[1] + top - height)
        return Transposed(
            weights.permute(3, 0, 1, 2).contiguous(),
            scaled.permute(3, 0, 1, 2).contiguous(),
            bias,
            source.zero_point,
            operator.rows,
            operator.columns,
            sides,
        )
