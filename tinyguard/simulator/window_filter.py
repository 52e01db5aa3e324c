# SPDX-License-Identifier: Apache-2.0
"""Filters that look at a small window around each element, in torch: mean, Gaussian and median."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from tinyguard.native import filters, loops
from tinyguard.operators.families.window_filter import WindowFilter
from tinyguard.operators.filter_gaussian import GaussianFilter
from tinyguard.operators.filter_mean import MeanFilter
from tinyguard.operators.filter_median import MedianFilter
from tinyguard.simulator.filter import CompiledFilterLayer, SmoothFilterLayer


def taps(operator: WindowFilter, images: torch.Tensor) -> torch.Tensor:
    """Each tap of the window, row by row and stacked first: (taps, N, height, width, channels)."""
    rows, columns = (
        torch.arange(-operator.before, count + operator.after, device=images.device).clamp(0, count - 1)
        for count in (operator.height, operator.width)
    )
    padded = images[:, rows][:, :, columns]
    return torch.stack(
        [
            padded[:, y : y + operator.height, x : x + operator.width]
            for y in range(operator.size)
            for x in range(operator.size)
        ]
    )


class MeanFilterLayer(SmoothFilterLayer):
    of: ClassVar = (MeanFilter,)
    operator: MeanFilter

    def smooth(self, images: torch.Tensor) -> torch.Tensor:
        return taps(self.operator, images).mean(dim=0)


class GaussianFilterLayer(SmoothFilterLayer):
    of: ClassVar = (GaussianFilter,)
    operator: GaussianFilter

    def smooth(self, images: torch.Tensor) -> torch.Tensor:
        shares = self.operator.weights / self.operator.weights.sum()
        weights = torch.tensor(shares, dtype=images.dtype, device=images.device)
        return torch.tensordot(weights, taps(self.operator, images), dims=1)


class MedianFilterLayer(CompiledFilterLayer):
    of: ClassVar = (MedianFilter,)
    operator: MedianFilter

    def values(self, images: torch.Tensor) -> torch.Tensor:
        return filters.median(images) if loops.serves_floats(images) else super().values(images)

    def smooth(self, images: torch.Tensor) -> torch.Tensor:
        return taps(self.operator, images).median(dim=0).values

    def slope(self, images: torch.Tensor, values: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
        """All of it goes to the first element of the window, row by row, that has the median."""
        if loops.serves_floats(images, values, upstream):
            return filters.median_gradient(images, values, upstream)
        places = torch.arange(math.prod(images.shape[1:]), device=images.device).reshape(1, *images.shape[1:])
        first = (taps(self.operator, images) == values).int().argmax(dim=0)
        chosen = taps(self.operator, places).expand(-1, *images.shape).gather(0, first[None])[0]
        slopes = torch.zeros_like(images).flatten(1)
        return slopes.scatter_add_(1, chosen.flatten(1), upstream.flatten(1)).reshape(images.shape)
