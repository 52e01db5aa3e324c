# SPDX-License-Identifier: Apache-2.0
"""SOFTMAX in torch: values by NumPy, the gradient of the real softmax."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.softmax import Softmax
from tinyguard.simulator.layer import Layer, present


class SoftmaxLayer(Layer):
    of: ClassVar = (Softmax,)
    operator: Softmax

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        source, output = self.operator.input_tensor(0), self.operator.outputs[0]
        real = torch.softmax(present(inputs[0]) * (self.operator.beta * source.scale), dim=-1)
        return (real / output.scale + output.zero_point,)
