# SPDX-License-Identifier: Apache-2.0
"""SQUEEZE_DISTANCE in torch: values by NumPy, the gradient of the largest distance."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.squeeze_distance import SqueezeDistance
from tinyguard.simulator.layer import Layer


class SqueezeDistanceLayer(Layer):
    of: ClassVar = (SqueezeDistance,)

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        raw, *squeezed = (x.reshape(len(x), -1) for x in inputs if x is not None)
        distances = torch.stack([(raw - x).abs().sum(dim=1) for x in squeezed])
        largest = distances.amax(dim=0)
        pair = torch.stack([largest, torch.zeros_like(largest)], dim=1)
        return (pair.reshape(-1, *self.operator.outputs[0].shape),)
