# SPDX-License-Identifier: Apache-2.0
"""ADD and SUB in torch: one weighted sum that is exact for every pair of codes, where there is one."""

from __future__ import annotations

import functools
from typing import ClassVar

import torch

from tinyguard.native import loops
from tinyguard.operators.add import Add
from tinyguard.simulator import staged_pair, weighted_pair
from tinyguard.simulator.elementwise import ElementwiseLayer
from tinyguard.simulator.layer import present
from tinyguard.simulator.weighted_pair import Pair, WeightedPair, weighted


class AddLayer(ElementwiseLayer):
    of: ClassVar = (Add,)
    operator: Add

    def real(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a - b if self.operator.subtract else a + b

    @functools.cached_property
    def pair(self) -> Pair | None:
        """The sum, exact for all pairs of codes; None where none was found."""
        operator = self.operator
        a, b, output = operator.input_tensor(0), operator.input_tensor(1), operator.outputs[0]
        factors = a.scale / output.scale, (-b.scale if operator.subtract else b.scale) / output.scale
        if output.dtype == "int16":
            operands = operator.multipliers[0], operator.multipliers[1]
            rest = factors, operator.clamp, operator.subtract
            return staged_pair.find(operands, operator.output_multiplier, *rest)
        addend = output.zero_point - factors[0] * a.zero_point - factors[1] * b.zero_point
        return weighted_pair.find(operator.pairs, factors, addend, operator.clamp)

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        a, b = present(inputs[0]), present(inputs[1])
        if a.shape != b.shape or a.ndim < 2 or self.pair is None:
            return super().forward(*inputs)
        return (weighted(a, b, self.pair, self.rules.leak),)

    @property
    def takes_bytes(self) -> bool:
        return isinstance(self.pair, WeightedPair)

    def answer(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        a, b = present(inputs[0]), present(inputs[1])
        in_bytes = loops.are_bytes(a) and loops.are_bytes(b) and a.shape == b.shape
        if in_bytes and isinstance(self.pair, WeightedPair):
            return (self.pair.of_bytes(a, b),)
        return super().answer(*inputs)
