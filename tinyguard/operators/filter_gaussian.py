# SPDX-License-Identifier: Apache-2.0
"""Gaussian smoothing with binomial weights: (1 2 1)/4 or (1 4 6 4 1)/16 along both axes, rounded half up."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.families.window_filter import WindowFilter

WEIGHTS = {3: (1, 2, 1), 5: (1, 4, 6, 4, 1)}


class GaussianFilter(WindowFilter):
    """floor(weighted sum / sum of the weights + 1/2) of each window of codes."""

    names: ClassVar = ("FILTER_GAUSSIAN",)
    sizes: ClassVar = tuple(WEIGHTS)
    kernel: ClassVar = "gaussian"

    @property
    def weights(self) -> np.ndarray:
        """int32 (taps,), row by row; their sum is a power of two."""
        return np.outer(WEIGHTS[self.size], WEIGHTS[self.size]).astype(np.int32).ravel()

    def filtered(self, images: np.ndarray) -> np.ndarray:
        weights = self.weights
        total = int(weights.sum())
        sums = np.full(images.shape, total // 2, np.int32)
        for weight, tap in zip(weights.tolist(), self.taps(images), strict=True):
            sums += weight * tap.astype(np.int32)
        return np.asarray(sums // total).astype(np.int8)
