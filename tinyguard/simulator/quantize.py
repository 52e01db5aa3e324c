# SPDX-License-Identifier: Apache-2.0
"""QUANTIZE and DEQUANTIZE in torch: values by NumPy, the gradient of scaling."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.dequantize import Dequantize
from tinyguard.operators.quantize import Quantize
from tinyguard.simulator.layer import Layer, present
from tinyguard.simulator.unary import UnaryLayer


class QuantizeLayer(UnaryLayer):
    of: ClassVar = (Quantize,)

    def real(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        output = self.operator.outputs[0]
        if self.operator.input_tensor(0).dtype != "float32":
            return super().surrogate(*inputs)
        return (present(inputs[0]) / output.scale + output.zero_point,)


class DequantizeLayer(Layer):
    of: ClassVar = (Dequantize,)

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        source = self.operator.input_tensor(0)
        return ((present(inputs[0]) - source.zero_point) * source.scale,)
