# SPDX-License-Identifier: Apache-2.0
"""Block-DCT quantization in torch."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from tinyguard.operators.filter_dct import SIDE, TABLE_BITS, DCTFilter, cosines
from tinyguard.simulator.filter import SmoothFilterLayer


class DCTFilterLayer(SmoothFilterLayer):
    of: ClassVar = (DCTFilter,)
    operator: DCTFilter

    def smooth(self, images: torch.Tensor) -> torch.Tensor:
        """Levels rounded with the gradient of a cubic, 1 in the mean (Shin and Song 2017, JPEG-resistant
        adversarial images)."""
        table = torch.from_numpy(cosines().astype(np.float32) / 2**TABLE_BITS).to(images.device)
        steps = torch.from_numpy(self.operator.steps.astype(np.float32)).to(images.device)
        position = table @ self._blocks(images) @ table.T / steps
        level = torch.round(position.detach())
        levels = level + (position - level) ** 3 * 4
        return self._image(table.T @ (levels * steps) @ table)

    def _blocks(self, images: torch.Tensor) -> torch.Tensor:
        """(N, blocks down, blocks across, channels, 8, 8)."""
        operator = self.operator
        down, across = operator.grid
        rows, columns = (
            torch.arange(blocks * SIDE, device=images.device).clamp(max=count - 1)
            for blocks, count in ((down, operator.height), (across, operator.width))
        )
        padded = images[:, rows][:, :, columns]
        shape = (len(images), down, SIDE, across, SIDE, operator.channels)
        return padded.reshape(shape).permute(0, 1, 3, 5, 2, 4)

    def _image(self, blocks: torch.Tensor) -> torch.Tensor:
        operator = self.operator
        down, across = operator.grid
        whole = blocks.permute(0, 1, 4, 2, 5, 3)
        whole = whole.reshape(len(blocks), down * SIDE, across * SIDE, operator.channels)
        return whole[:, : operator.height, : operator.width]
