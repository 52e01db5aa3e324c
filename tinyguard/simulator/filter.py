# SPDX-License-Identifier: Apache-2.0
"""Input filters in torch: exact codes, and two rules for the gradient (see `Rules.filter_gradient`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from tinyguard.operators.families.filter import Filter
from tinyguard.simulator.layer import Layer, present


class FilterLayer(Layer):
    """Any filter, those of other packages too: values by NumPy, the gradient of its `surrogate`."""

    of: ClassVar[tuple[type[Filter], ...]] = (Filter,)
    operator: Filter

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        if self.rules.filter_gradient == "identity":
            return (present(inputs[0]),)
        return self.near(*inputs)

    def near(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Real-valued codes of a differentiable function near the filter."""
        return self.operator.surrogate(*inputs)


class SmoothFilterLayer(FilterLayer, ABC):
    """Base of the layers of the filters here, which have a smooth function near them."""

    @abstractmethod
    def smooth(self, images: torch.Tensor) -> torch.Tensor:
        """A differentiable function (N, height, width, channels) near the filter, on codes in float32."""

    def images(self, x: torch.Tensor) -> torch.Tensor:
        """Codes as images (N, height, width, channels)."""
        return x.reshape(-1, self.operator.height, self.operator.width, self.operator.channels)

    def near(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x = present(inputs[0])
        return (self.smooth(self.images(x)).reshape(x.shape),)


class CompiledFilterLayer(SmoothFilterLayer, ABC):
    """A filter with values and a gradient of its own in torch, in C where there is a compiler.

    Its smooth function stays within the codes, so that no clamp has a part in the gradient.
    """

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x = present(inputs[0])
        return (_Filtered.apply(self.images(x).contiguous(), self).reshape(x.shape),)

    def values(self, images: torch.Tensor) -> torch.Tensor:
        """Filtered codes in float32 of contiguous images of codes in float32."""
        codes = self.operator.filtered(images.cpu().numpy().astype(np.int8))
        return torch.from_numpy(codes.astype(np.float32)).to(images.device)

    @abstractmethod
    def slope(self, images: torch.Tensor, values: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
        """The gradient of `smooth` at `images`, whose `values` these are, from that of the filtered codes."""


class _Filtered(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: torch.Tensor, layer: CompiledFilterLayer) -> torch.Tensor:  # type: ignore[override]
        values = layer.values(images)
        context.layer = layer
        if images.requires_grad and layer.rules.filter_gradient == "smooth":
            context.save_for_backward(images, values)
        return values

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        if context.layer.rules.filter_gradient == "identity":
            return gradient, None
        return context.layer.slope(*context.saved_tensors, gradient.contiguous()), None
