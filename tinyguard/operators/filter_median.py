# SPDX-License-Identifier: Apache-2.0
"""Median smoothing over a 3x3 window.

Local smoothing of feature squeezing (Xu et al. 2018, arXiv 1704.01155).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.families.window_filter import WindowFilter

_MIDDLE = 4  # of nine


class MedianFilter(WindowFilter):
    """The fifth of the nine codes of each window, in order of size."""

    names: ClassVar = ("FILTER_MEDIAN",)
    sizes: ClassVar = (3,)
    kernel: ClassVar = "median"

    def filtered(self, images: np.ndarray) -> np.ndarray:
        return np.partition(np.stack(list(self.taps(images))), _MIDDLE, axis=0)[_MIDDLE]
