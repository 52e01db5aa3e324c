# SPDX-License-Identifier: Apache-2.0
"""Large tensors in parts that stay in the processor's cache between torch's passes."""

from __future__ import annotations

from collections.abc import Iterator

import torch

_BLOCK = 1 << 16  # elements: in float64 they stay in the cache


def blocks(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Rows of (rows, channels) tensors of one shape, block by block."""
    rows, channels = tensors[0].shape
    step = max(1, min(rows, _BLOCK // max(1, channels)))
    for start in range(0, rows, step):
        yield tuple(tensor[start : start + step] for tensor in tensors)
