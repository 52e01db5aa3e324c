# SPDX-License-Identifier: Apache-2.0
"""Bit-depth reduction in torch."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.filter_bit_depth import CODES, BitDepthFilter
from tinyguard.simulator.filter import SmoothFilterLayer


class BitDepthFilterLayer(SmoothFilterLayer):
    of: ClassVar = (BitDepthFilter,)
    operator: BitDepthFilter

    def smooth(self, images: torch.Tensor) -> torch.Tensor:
        """Rounding with the gradient of a cubic, 1 in the mean (Shin and Song 2017): flat at a level, steep
        between two."""
        levels = self.operator.levels
        position = (images + 128) * (levels / CODES)
        level = torch.round(position.detach())
        return (level + (position - level) ** 3 * 4) * (CODES / levels) - 128
