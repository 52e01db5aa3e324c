# SPDX-License-Identifier: Apache-2.0
"""The square attack's windows: rectangles of the last spatial axes, at places of each sample's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch

from tinyguard.attacks.space import Space

# Andriushchenko et al. 2020, section 4: p is halved after these of 10,000 queries.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_TILES = 5


def halvings(step: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """How often the covered fraction was halved, int64 (n,), before the query `step` of `queries`."""
    return torch.bucketize(step * 10000 // queries, torch.tensor(_HALVINGS))


@dataclass(frozen=True)
class Plane:
    """An input seen as (height, width, channels); vectors and series lie along the width."""

    shape: tuple[int, ...]
    height: int
    width: int
    channels: int

    @classmethod
    def of(cls, space: Space) -> Plane:
        shape = space.shape
        if len(shape) >= 3:
            return cls(shape, math.prod(shape[:-2]), shape[-2], shape[-1])
        if len(shape) == 2 and space.low.numel() == 1:
            return cls(shape, shape[0], shape[1], 1)
        return cls(shape, 1, shape[0], math.prod(shape[1:]))

    def open(self, x: torch.Tensor) -> torch.Tensor:
        """(n, *shape) as (n, height, width, channels)."""
        return x.reshape(len(x), self.height, self.width, self.channels)

    def close(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(len(x), *self.shape)

    def sides(self, share: float, smallest: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Heights and widths, int64, of the windows after 0, 1, 2, ... halvings of `share`."""
        sides = [self.window(share / 2**level, smallest) for level in range(len(_HALVINGS) + 1)]
        heights, widths = zip(*sides, strict=True)
        return torch.tensor(heights), torch.tensor(widths)

    def window(self, share: float, smallest: int) -> tuple[int, int]:
        """Height and width of a window on a fraction `share` of the plane: a square, or what fits of it.

        `smallest` 3 makes odd sides of 3 or more, as bumps need them.
        """
        area, short = share * self.height * self.width, min(self.height, self.width)
        side = max(round(math.sqrt(area)), smallest)
        if smallest > 1 and side % 2 == 0:
            side += 1
        if side <= short:
            return side, side
        long = min(max(round(area / short), smallest), max(self.height, self.width))
        return (short, long) if self.height <= self.width else (long, short)

    def inside(self, words: torch.Tensor, heights: torch.Tensor, widths: torch.Tensor) -> Windows:
        """Windows of sides `heights` and `widths` (n,) at places that words (n, 2) choose."""
        top = (words[:, 0] * (self.height - heights + 1)) >> 32
        left = (words[:, 1] * (self.width - widths + 1)) >> 32
        down = torch.arange(self.height) - top[:, None]
        across = torch.arange(self.width) - left[:, None]
        return Windows(down, across, heights, widths)


@dataclass(frozen=True, eq=False)
class Windows:
    """One window per sample: `down` (n, plane.height) and `across` (n, plane.width) count from its corner."""

    down: torch.Tensor
    across: torch.Tensor
    heights: torch.Tensor
    widths: torch.Tensor

    def mask(self) -> torch.Tensor:
        """bool (n, plane.height, plane.width, 1)."""
        rows = (self.down >= 0) & (self.down < self.heights[:, None])
        columns = (self.across >= 0) & (self.across < self.widths[:, None])
        return (rows[:, :, None] & columns[:, None, :])[..., None]

    def fill(self, patterns: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Each window filled with the pattern that `chosen` (n,) names, 0 outside: (n, height, width)."""
        down = self.down.clamp(min=-1).minimum(self.heights[:, None]) + 1
        across = self.across.clamp(min=-1).minimum(self.widths[:, None]) + 1
        return patterns[chosen[:, None, None], down[:, :, None], across[:, None, :]]


def bumps(heights: torch.Tensor, widths: torch.Tensor) -> torch.Tensor:
    """Patterns for `Windows.fill`: 2 k has a window's halves one above the other, 2 k + 1 side by side."""
    framed = torch.zeros(2 * len(heights), int(heights.max()) + 2, int(widths.max()) + 2)
    for k, (height, width) in enumerate(zip(heights.tolist(), widths.tolist(), strict=True)):
        framed[2 * k, 1 : height + 1, 1 : width + 1] = _bump(height, width)
        framed[2 * k + 1, 1 : height + 1, 1 : width + 1] = _bump(width, height).T
    return framed


def tiles(plane: Plane) -> tuple[int, int, torch.Tensor]:
    """The start in L2: how many tiles across and down (5, or what fits), and a bump in every tile."""
    across, down = min(_TILES, plane.width), min(_TILES, plane.height)
    return across, down, _bump(plane.height // down, plane.width // across).repeat(down, across)


@lru_cache(maxsize=64)
def _bump(height: int, width: int) -> torch.Tensor:
    """A positive half above a negative one, norm 1 (the paper's eta, figure 3); one half where it is flat."""
    half = height // 2
    bump = torch.zeros(height, width)
    bump[half:] = -_pyramid(height - half, width)
    if half:
        bump[:half] = _pyramid(half, width)
    return bump / bump.norm()


def _pyramid(height: int, width: int) -> torch.Tensor:
    """Squares around the middle stacked with weights 1 / (k + 1)^2, norm 1."""
    pyramid = torch.zeros(height, width)
    top, left = height // 2, width // 2
    for k in range(max(top, left) + 1):
        pyramid[max(top - k, 0) : top + k + 1, max(left - k, 0) : left + k + 1] += 1 / (k + 1) ** 2
    return pyramid / pyramid.norm()


def grating(plane: Plane, across: int, down: int, sign: int) -> torch.Tensor:
    """Signs (height, width, 1) that alternate every `across` columns and `down` rows; 0 for never."""
    columns = torch.arange(plane.width) // across if across else torch.zeros(plane.width, dtype=torch.int64)
    lines = torch.arange(plane.height) // down if down else torch.zeros(plane.height, dtype=torch.int64)
    return sign * (1.0 - 2 * ((lines[:, None] + columns) % 2))[..., None]
