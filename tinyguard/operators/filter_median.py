"""Median smoothing over a 3x3 window.

Local smoothing of feature squeezing (Xu et al. 2018, arXiv 1704.01155).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tinyguard.operators.families.filter import CompiledFilter
from tinyguard.operators.families.window_filter import WindowFilter

if TYPE_CHECKING:
    import torch

_MIDDLE = 4  # of nine


class MedianFilter(CompiledFilter, WindowFilter):
    """The fifth of the nine codes of each window, in order of size."""

    names: ClassVar = ("FILTER_MEDIAN",)
    sizes: ClassVar = (3,)
    kernel: ClassVar = "median"

    def filtered(self, images: np.ndarray) -> np.ndarray:
        return np.partition(np.stack(list(self.taps(images))), _MIDDLE, axis=0)[_MIDDLE]

    def values(self, images: torch.Tensor) -> torch.Tensor:
        from tinyguard.native import filters

        return filters.median(images) if filters.serves(images) else super().values(images)

    def smooth(self, images: torch.Tensor) -> torch.Tensor:
        return self.torch_taps(images).median(dim=0).values

    def slope(self, images: torch.Tensor, values: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
        """All of it goes to the first element of the window, row by row, that has the median."""
        import torch

        from tinyguard.native import filters

        if filters.serves(images, values, upstream):
            return filters.median_gradient(images, values, upstream)
        places = torch.arange(math.prod(images.shape[1:]), device=images.device).reshape(1, *images.shape[1:])
        first = (self.torch_taps(images) == values).int().argmax(dim=0)
        chosen = self.torch_taps(places).expand(-1, *images.shape).gather(0, first[None])[0]
        found = torch.zeros_like(images).flatten(1)
        return found.scatter_add_(1, chosen.flatten(1), upstream.flatten(1)).reshape(images.shape)
