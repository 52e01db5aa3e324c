# SPDX-License-Identifier: Apache-2.0
"""Mean smoothing: the mean of a 2x2 or 3x3 window, rounded half up.

Local smoothing of feature squeezing (Xu et al. 2018, arXiv 1704.01155), with the mean instead of the median.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.families.window_filter import WindowFilter


class MeanFilter(WindowFilter):
    """floor(sum / taps + 1/2) of each window of codes."""

    names: ClassVar = ("FILTER_MEAN",)
    sizes: ClassVar = (2, 3)
    kernel: ClassVar = "mean"

    def filtered(self, images: np.ndarray) -> np.ndarray:
        sums, taps = np.zeros(images.shape, np.int16), self.size**2
        for tap in self.taps(images):
            sums += tap
        return np.asarray((sums + taps // 2) // taps).astype(np.int8)
