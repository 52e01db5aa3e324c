"""Median smoothing over a 3x3 window.

Local smoothing of feature squeezing (Xu et al. 2018, arXiv 1704.01155).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tinyguard.operators._filter_window import WindowFilter

if TYPE_CHECKING:
    import torch

_MIDDLE = 4  # of nine


class MedianFilter(WindowFilter):
    """The fifth of the nine codes of each window, in order of size."""

    names: ClassVar = ("FILTER_MEDIAN",)
    sizes: ClassVar = (3,)
    kernel: ClassVar = "median"

    def filtered(self, images: np.ndarray) -> np.ndarray:
        return np.partition(np.stack(list(self.taps(images))), _MIDDLE, axis=0)[_MIDDLE]

    def smooth(self, images: torch.Tensor) -> torch.Tensor:
        return self.torch_taps(images).median(dim=0).values
