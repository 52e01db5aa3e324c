"""A filter with code of its own in torch: exact codes, and the gradient of its rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from tinyguard.operators.families.filter import CompiledFilter


def exact(filter_: CompiledFilter, images: torch.Tensor) -> torch.Tensor:
    """The filter's codes (N, height, width, channels) of codes in float32, with its gradient."""
    return _Filtered.apply(images.contiguous(), filter_)


class _Filtered(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: torch.Tensor, filter_: CompiledFilter) -> torch.Tensor:  # type: ignore[override]
        values = filter_.values(images)
        context.filter = filter_
        if images.requires_grad and filter_.gradient == "smooth":
            context.save_for_backward(images, values)
        return values

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        if context.filter.gradient == "identity":
            return gradient, None
        return context.filter.slope(*context.saved_tensors, gradient.contiguous()), None
