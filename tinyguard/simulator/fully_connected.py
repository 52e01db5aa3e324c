# SPDX-License-Identifier: Apache-2.0
"""FULLY_CONNECTED in torch: one matrix product."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.fully_connected import FullyConnected
from tinyguard.simulator.accumulating import AccumulatingLayer
from tinyguard.simulator.sums import Dense, LinearMap


class FullyConnectedLayer(AccumulatingLayer):
    of: ClassVar = (FullyConnected,)
    operator: FullyConnected

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(-1, self.operator.depth)

    def linear_map(self, device: torch.device) -> LinearMap:
        weights, scaled, bias = self.weights_and_bias(device)
        zero_point, folded = self.operator.source.zero_point, self.folded_bias(bias)
        if folded is not None:
            bias, zero_point = folded, 0
        return Dense(weights.t().contiguous(), scaled, bias, zero_point)
