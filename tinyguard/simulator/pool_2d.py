# SPDX-License-Identifier: Apache-2.0
"""AVERAGE_POOL_2D and MAX_POOL_2D in torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from tinyguard.operators.base import CODE_RANGE
from tinyguard.operators.pool_2d import AveragePool2D, MaxPool2D, Pool2D
from tinyguard.simulator.layer import Layer, present
from tinyguard.simulator.straight_through import clamped, replace_value


class Pool2DLayer(Layer, ABC):
    """Base of the layers that pool windows."""

    operator: Pool2D

    @abstractmethod
    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Codes (N, C, OH, OW), clamped and straight-through, of float32 codes (N, C, H, W)."""

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x, operator = present(inputs[0]), self.operator
        images = x.reshape(-1, *operator.input_tensor(0).shape[1:]).permute(0, 3, 1, 2)
        pooled = self.pooled(images).permute(0, 2, 3, 1)
        return (pooled.reshape(len(x), *operator.outputs[0].shape),)

    def padded(self, x: torch.Tensor, fill: float) -> torch.Tensor:
        """x (N, C, H, W) with `fill` around, as far as the windows reach."""
        rows, columns = self.operator.rows, self.operator.columns
        sides = (columns.before, columns.after, rows.before, rows.after)
        return functional.pad(x, sides, value=fill) if any(sides) else x

    @property
    def kernel(self) -> tuple[int, int]:
        return self.operator.rows.kernel, self.operator.columns.kernel

    @property
    def stride(self) -> tuple[int, int]:
        return self.operator.rows.stride, self.operator.columns.stride


class AveragePool2DLayer(Pool2DLayer):
    of: ClassVar = (AveragePool2D,)
    operator: AveragePool2D

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        operator = self.operator
        largest = self.kernel[0] * self.kernel[1] * -CODE_RANGE[operator.outputs[0].dtype][0]
        exact = torch.float32 if largest < 2**24 else torch.float64
        padded = self.padded(x.to(exact), 0.0)
        sums = functional.avg_pool2d(padded, self.kernel, self.stride, divisor_override=1)
        counts = torch.from_numpy(operator.counts.transpose(2, 0, 1).astype(np.float64)).to(x.device)
        means = sums / counts.to(exact)
        real = clamped(means, operator.low, operator.high, self.rules.leak).to(torch.float32)
        whole = sums.detach().to(torch.float64)
        codes = torch.trunc((whole + torch.sign(whole) * torch.floor(counts / 2)) / counts)
        return replace_value(real, codes.clamp(operator.low, operator.high).to(torch.float32))


class MaxPool2DLayer(Pool2DLayer):
    of: ClassVar = (MaxPool2D,)
    operator: MaxPool2D

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        operator, leak = self.operator, self.rules.leak
        lowest = CODE_RANGE[operator.outputs[0].dtype][0]
        pooled = functional.max_pool2d(self.padded(x, float(lowest)), self.kernel, self.stride)
        codes = pooled.clamp(operator.low, operator.high)
        if not leak:
            return codes
        return replace_value(clamped(pooled, operator.low, operator.high, leak), codes.detach())
