# SPDX-License-Identifier: Apache-2.0
"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR in torch."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from tinyguard.operators.resize import ONE, ResizeBilinear, ResizeNearestNeighbor
from tinyguard.simulator.layer import Layer, present


class ResizeNearestNeighborLayer(Layer):
    of: ClassVar = (ResizeNearestNeighbor,)
    operator: ResizeNearestNeighbor

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x, axes = present(inputs[0]), (self.operator.rows, self.operator.columns)
        rows, columns = (torch.from_numpy(i.astype(np.int64)).to(x.device) for i in axes)
        return (x.index_select(2, rows).index_select(3, columns),)


class ResizeBilinearLayer(Layer):
    """Values by NumPy, the gradient of interpolation without rounding."""

    of: ClassVar = (ResizeBilinear,)
    operator: ResizeBilinear

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x, rows, columns = present(inputs[0]), self.operator.rows, self.operator.columns

        def constant(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(values).to(x.device)

        down = constant(rows.fraction)[:, None, None] / ONE
        across = constant(columns.fraction)[:, None] / ONE
        above = x.index_select(2, constant(rows.lower))
        below = x.index_select(2, constant(rows.upper))
        lines = above + (below - above) * down
        left = lines.index_select(3, constant(columns.lower))
        right = lines.index_select(3, constant(columns.upper))
        return (torch.lerp(left, right, across.to(lines.dtype)),)
