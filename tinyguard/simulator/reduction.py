# SPDX-License-Identifier: Apache-2.0
"""MEAN and REDUCE_MAX in torch."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.base import CODE_RANGE
from tinyguard.operators.mean import Mean
from tinyguard.operators.reduce_max import ReduceMax
from tinyguard.simulator.layer import Layer, present
from tinyguard.simulator.straight_through import requantize


class MeanLayer(Layer):
    of: ClassVar = (Mean,)
    operator: Mean

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x, operator = present(inputs[0]), self.operator
        source, output = operator.input_tensor(0), operator.outputs[0]
        low, high = CODE_RANGE[source.dtype]
        exact = torch.float32 if operator.reduction.count * (high - low) < 2**24 else torch.float64
        sums = x.to(exact) - source.zero_point
        if operator.reduction.axes:
            sums = sums.sum(dim=operator.reduction.batched_axes)
        codes = requantize(
            sums,
            torch.tensor(operator.multiplier, device=x.device),
            torch.tensor(operator.shift, device=x.device),
            output.zero_point,
            *CODE_RANGE[output.dtype],
            leak=self.rules.leak,
        )
        return (codes.reshape(len(x), *output.shape),)


class ReduceMaxLayer(Layer):
    of: ClassVar = (ReduceMax,)
    operator: ReduceMax

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x, reduction = present(inputs[0]), self.operator.reduction
        largest = x.amax(dim=reduction.batched_axes) if reduction.axes else x
        return (largest.reshape(len(x), *self.operator.outputs[0].shape),)
