# SPDX-License-Identifier: Apache-2.0
"""Operators on single codes in torch: values by NumPy's tables, gradients of their real functions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch

from tinyguard.operators.abs import Abs
from tinyguard.operators.families.unary import Unary
from tinyguard.operators.hard_swish import HardSwish
from tinyguard.operators.leaky_relu import LeakyRelu
from tinyguard.operators.logistic import Logistic
from tinyguard.operators.relu import Relu
from tinyguard.simulator.layer import Layer, present


class UnaryLayer(Layer, ABC):
    """Base of the layers that map each code to one."""

    operator: Unary

    @abstractmethod
    def real(self, x: torch.Tensor) -> torch.Tensor:
        """The real function of real values, for the gradient."""

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        source, output = self.operator.input_tensor(0), self.operator.outputs[0]
        real = self.real((present(inputs[0]) - source.zero_point) * source.scale)
        return (real / output.scale + output.zero_point,)


class AbsLayer(UnaryLayer):
    of: ClassVar = (Abs,)

    def real(self, x: torch.Tensor) -> torch.Tensor:
        return x.abs()


class HardSwishLayer(UnaryLayer):
    of: ClassVar = (HardSwish,)

    def real(self, x: torch.Tensor) -> torch.Tensor:
        return x * (x + 3).clamp(0, 6) / 6


class LeakyReluLayer(UnaryLayer):
    of: ClassVar = (LeakyRelu,)
    operator: LeakyRelu

    def real(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x >= 0, x, x * self.operator.alpha)


class LogisticLayer(UnaryLayer):
    of: ClassVar = (Logistic,)
    operator: Logistic

    def real(self, x: torch.Tensor) -> torch.Tensor:
        return x.tanh() if self.operator.is_tanh else x.sigmoid()


class ReluLayer(UnaryLayer):
    of: ClassVar = (Relu,)

    def real(self, x: torch.Tensor) -> torch.Tensor:
        return x  # the bounds are the clamp
