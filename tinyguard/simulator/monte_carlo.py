# SPDX-License-Identifier: Apache-2.0
"""The sum and the mean of passes in torch: values by NumPy, gradients of the scores alone."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.arithmetic.entropy import LEVELS
from tinyguard.operators.monte_carlo import UNCERTAINTY, MonteCarloMean, MonteCarloSum
from tinyguard.simulator.layer import Layer, present


class MonteCarloSumLayer(Layer):
    of: ClassVar = (MonteCarloSum,)
    operator: MonteCarloSum

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Entropies pass no gradient."""
        x = present(inputs[0])
        q = x.reshape(len(x), -1) + LEVELS // 2
        shape = self.operator.outputs[0].shape
        sums = torch.cat([q, torch.zeros_like(q[:, :1])], dim=1).reshape(len(x), *shape)
        before = None if self.operator.first else inputs[1]
        return (sums if before is None else sums + before,)


class MonteCarloMeanLayer(Layer):
    of: ClassVar = (MonteCarloMean,)
    operator: MonteCarloMean

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        total, (first, second) = present(inputs[0]), self.operator.outputs
        flat = total.reshape(len(total), -1)
        mean = flat[:, :-1] / self.operator.passes - LEVELS // 2
        still = torch.zeros(len(total), len(UNCERTAINTY), device=total.device)
        return mean.reshape(len(total), *first.shape), still.reshape(-1, *second.shape)
