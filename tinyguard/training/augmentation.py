# SPDX-License-Identifier: Apache-2.0
"""Random crops with reflected borders and random flips, as CIFAR-10 is trained everywhere."""

from __future__ import annotations

import numpy as np
import torch

from tinyguard.training.randomness import CROPS, StepDraws

PAD = 4
_SMALLEST = 28  # pixels per side: a crop of smaller images, digits among them, takes away what they show


class Images:
    """Training arrays (N, *shape), uint8 pixels or codes, and their labels int64 (N,); one batch at a time.

    With `augment` images (N, H, W, C) of 28 pixels per side or more are cropped at random from reflected
    borders of PAD pixels, half of them mirrored.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, augment: bool) -> None:
        self.augmented = augment and x.ndim == 4 and min(x.shape[1:3]) >= _SMALLEST
        self.size = x.shape[1:3]
        if self.augmented:
            x = np.pad(x, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)), mode="reflect")
        self.x, self.y = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y)

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, chosen: torch.Tensor, draws: StepDraws) -> tuple[torch.Tensor, torch.Tensor]:
        """Arrays (B, *shape) in their own dtype and labels (B,) of the samples `chosen`, int64 (B,)."""
        if not self.augmented:
            return self.x[chosen], self.y[chosen]
        generator, count = draws.generator(CROPS), len(chosen)
        top, left = torch.randint(0, 2 * PAD + 1, (2, count, 1), generator=generator)
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        rows, across = torch.arange(self.size[0]), torch.arange(self.size[1])
        columns = left + torch.where(mirrored, self.size[1] - 1 - across, across)
        crops = self.x[chosen[:, None, None], (top + rows)[:, :, None], columns[:, None, :]]
        return crops, self.y[chosen]
