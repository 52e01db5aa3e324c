# SPDX-License-Identifier: Apache-2.0
"""Operators on two broadcast operands in torch: a table of all pairs of int8 codes, and real functions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch

from tinyguard.operators.families.elementwise import Elementwise
from tinyguard.operators.maximum_minimum import MaximumMinimum
from tinyguard.operators.mul import Mul
from tinyguard.operators.prelu import Prelu
from tinyguard.simulator.layer import Layer, present
from tinyguard.simulator.straight_through import clamped, replace_value


class ElementwiseLayer(Layer, ABC):
    """Base of the layers on two operands."""

    operator: Elementwise

    @abstractmethod
    def real(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The real function of real values, for the gradient."""

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        operator = self.operator
        if operator.outputs[0].dtype != "int8":
            return super().forward(*inputs)
        a, b = (operator.aligned(present(x), k) for k, x in enumerate(inputs[:2]))
        place = torch.add(b.detach(), a.detach(), alpha=256).to(torch.int32).add_(128 * 257)
        table = torch.from_numpy(operator.pairs).to(place.device)
        exact = table.index_select(0, place.flatten()).view(place.shape)
        if not (a.requires_grad or b.requires_grad):
            return (exact,)
        real = clamped(self.surrogate(*inputs)[0], *operator.clamp, self.rules.leak)
        return (replace_value(real, exact),)

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        operator = self.operator
        tensors = operator.input_tensor(0), operator.input_tensor(1)
        a, b = (
            (operator.aligned(present(x), k) - tensor.zero_point) * tensor.scale
            for k, (x, tensor) in enumerate(zip(inputs[:2], tensors, strict=True))
        )
        output = operator.outputs[0]
        return (self.real(a, b) / output.scale + output.zero_point,)


class MulLayer(ElementwiseLayer):
    of: ClassVar = (Mul,)

    def real(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a * b


class MaximumMinimumLayer(ElementwiseLayer):
    of: ClassVar = (MaximumMinimum,)
    operator: MaximumMinimum

    def real(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.maximum(a, b) if self.operator.largest else torch.minimum(a, b)


class PreluLayer(ElementwiseLayer):
    of: ClassVar = (Prelu,)

    def real(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.where(a >= 0, a, a * b)
