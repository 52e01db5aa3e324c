"""The square attack's windows: rectangles of the last spatial axes, at places of each sample's own."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from functools import lru_cache

import torch

from tinyguard.attacks.space import Space

# Andriushchenko et al. 2020, section 4: p is halved after these of 10,000 queries.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_TILES = 5


def halving(done: float) -> int:
    """What the share of the image is divided by when `done` (0 to 1) of the queries are spent."""
    return int(2 ** bisect.bisect_left(_HALVINGS, int(done * 10000)))


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

    def window(self, share: float, smallest: int) -> tuple[int, int]:
        """Height and width of a window on `share` of the plane: a square, or what fits of its area.

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

    def corner(self, word: torch.Tensor, size: int, length: int) -> torch.Tensor:
        """Where windows of `size` begin on an axis, int64 (n, 1), from words in [0, 2^32)."""
        return ((word * (length - size + 1)) >> 32)[:, None]

    def mask(self, row: torch.Tensor, column: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """bool (n, height, width, 1): windows at places that the words `row` and `column` (n,) choose."""
        down = torch.arange(self.height) - self.corner(row, height, self.height)
        across = torch.arange(self.width) - self.corner(column, width, self.width)
        rows, columns = (down >= 0) & (down < height), (across >= 0) & (across < width)
        return (rows[:, :, None] & columns[:, None, :])[..., None]


def bumps(
    plane: Plane, row: torch.Tensor, column: torch.Tensor, turned: torch.Tensor, height: int, width: int
) -> torch.Tensor:
    """Bumps of norm 1, float32 (n, plane.height, plane.width), in the windows of `Plane.mask`.

    `turned`, 0 or 1 (n,): whether the halves lie side by side and not one above the other.
    """
    patterns = torch.stack([_bump(height, width), _bump(width, height).T])
    framed = torch.nn.functional.pad(patterns, (1, 1, 1, 1))  # a frame of zeros for all that is outside
    down = torch.arange(plane.height) - plane.corner(row, height, plane.height)
    across = torch.arange(plane.width) - plane.corner(column, width, plane.width)
    down, across = down.clamp(-1, height) + 1, across.clamp(-1, width) + 1
    return framed[turned[:, None, None], down[:, :, None], across[:, None, :]]


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
