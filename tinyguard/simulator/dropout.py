# SPDX-License-Identifier: Apache-2.0
"""DROPOUT in torch: the same mask, through which the gradient of what stays passes."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.dropout import Dropout
from tinyguard.simulator.layer import Layer, present


class DropoutLayer(Layer):
    of: ClassVar = (Dropout,)
    operator: Dropout

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x = present(inputs[0])
        mask = torch.from_numpy(self.operator.mask()).to(x.device)
        return (torch.where(mask, x, float(self.operator.outputs[0].zero_point)),)
