# SPDX-License-Identifier: Apache-2.0
"""Random axes of a reduction and the shape it leaves."""

from dataclasses import dataclass

import numpy as np

from tests.operators.builder import draw_shape


@dataclass(frozen=True)
class Axes:
    shape: tuple[int, ...]
    axes: np.ndarray  # int32, some negative
    keep_dims: bool
    output: tuple[int, ...]


def draw_axes(rng: np.random.Generator) -> Axes:
    """Rank 1 to 5, any axes but none, half of the 4-D ones the mean over rows and columns."""
    rank = int(rng.integers(1, 6))
    shape = draw_shape(rng, rank, 9 if rank < 5 else 5)
    chosen = {1, 2} if rank == 4 and rng.random() < 0.5 else set()
    if not chosen:
        chosen = {int(n) for n in rng.choice(rank, int(rng.integers(1, rank + 1)), replace=False)}
    keep = bool(rng.random() < 0.5)
    axes = [axis - rank if rng.random() < 0.3 else axis for axis in sorted(chosen)]
    output = [1 if i in chosen else n for i, n in enumerate(shape) if keep or i not in chosen]
    return Axes(shape, np.array(axes, np.int32), keep, tuple(output))
