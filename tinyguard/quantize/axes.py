# SPDX-License-Identifier: Apache-2.0
"""Layouts: the order in which a converter left the axes of an output."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

MOST_AXES = 5
# Rounding may make the wrong one of two layouts of nearly constant values the better by less than this.
CLEARLY = 4.0


@dataclass(frozen=True)
class Layout:
    """How one sample of an output lies in the file.

    `axes` are the source's axes in the file's order, () where values keep their order and only axes of size 1
    come or go. `error` is the largest difference of the values, infinite for nan.
    """

    axes: tuple[int, ...]
    error: float


def best_layout(wanted: np.ndarray, actual: np.ndarray) -> Layout | None:
    """The layout in which the source's (N, *sample) is the file's (N, *sample); None for other sizes.

    Where the shapes allow several, the values decide, and the first in the order of `_orders` between equals.
    """
    if wanted.size != actual.size:
        return None
    layouts = [
        Layout(axes, _error(moved(wanted, axes), actual))
        for axes in _orders(wanted.shape[1:], actual.shape[1:])
    ]
    least = min(layout.error for layout in layouts)
    return next(layout for layout in layouts if layout.error <= CLEARLY * least)


def moved(samples: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """(N, *sample) with the axes of the sample in another order."""
    return samples.transpose(0, *(axis + 1 for axis in axes)) if axes else samples


def described(shape: tuple[int, ...], axes: tuple[int, ...]) -> str:
    """What a layout did to an output of `shape`, for a note."""
    became = tuple(shape[axis] for axis in axes)
    if axes == _channels_last(len(shape)):
        return f"{shape} (channels first) became {became} (channels last)"
    return f"{shape} became {became}: its axes {', '.join(map(str, axes))}"


def _channels_last(rank: int) -> tuple[int, ...]:
    return (*range(1, rank), 0)


def _orders(wanted: tuple[int, ...], actual: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Orders that turn one shape into the other, but for axes of size 1: as it is, channels last, others."""
    yield ()
    rank = len(wanted)
    target = [size for size in actual if size != 1]
    seen = {tuple(axis for axis in range(rank) if wanted[axis] != 1)}
    every = permutations(range(rank)) if rank <= MOST_AXES else ()
    for axes in (*((_channels_last(rank),) if rank > 1 else ()), *every):
        kept = tuple(axis for axis in axes if wanted[axis] != 1)
        if kept not in seen and [wanted[axis] for axis in kept] == target:
            seen.add(kept)
            yield axes


def _error(wanted: np.ndarray, actual: np.ndarray) -> float:
    error = float(np.abs(wanted.reshape(actual.shape).astype(np.float64) - actual).max())
    return error if np.isfinite(error) else float("inf")
