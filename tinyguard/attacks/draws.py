# SPDX-License-Identifier: Apache-2.0
"""Random numbers that depend on the seed, the sample and the step alone.

A sample's trajectory is then the same in every batch, on every worker and on every back end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from tinyguard.arithmetic.philox import philox4x32_arrays

_WORD = 0xFFFFFFFF
LARGEST_STEP = 1 << 32
_DRAWN_AT_ONCE = 1 << 17  # numbers: more leave the processor's caches between one operation and the next


@dataclass(frozen=True, eq=False)
class Draws:
    """Counter-based draws for samples `ids`, int64 (N,) in [0, 2^32).

    Every method takes the `step` of the attack and a `stream`, a small number that tells apart what is
    drawn for different purposes in one step, and returns (N, *shape).
    """

    seed: int
    ids: torch.Tensor

    def words(self, step: int, shape: tuple[int, ...], stream: int) -> torch.Tensor:
        """int64 in [0, 2^32)."""
        if not 0 <= step < LARGEST_STEP:
            raise ValueError(f"step {step} is outside 0 to 2^32 - 1")
        count = math.prod(shape)
        blocks = torch.arange((count + 3) // 4)[None, :]
        counter = (blocks, torch.tensor(step), self.ids[:, None], torch.tensor(stream))
        words = torch.stack(_philox(counter, (self.seed & _WORD, (self.seed >> 32) & _WORD)), dim=-1)
        return words.reshape(len(self.ids), -1)[:, :count].reshape(len(self.ids), *shape)

    def uniform(self, step: int, shape: tuple[int, ...] = (), stream: int = 0) -> torch.Tensor:
        """float32 in [0, 1), 24 bits."""

        def drawn(some: Draws) -> torch.Tensor:
            return (some.words(step, shape, stream) >> 8).to(torch.float32) * 2.0**-24

        return self._in_parts(drawn, shape)

    def signs(self, step: int, shape: tuple[int, ...] = (), stream: int = 0) -> torch.Tensor:
        """float32, -1 or 1."""
        return (self.words(step, shape, stream) >> 31).to(torch.float32) * 2 - 1

    def integers(self, step: int, high: int, shape: tuple[int, ...] = (), stream: int = 0) -> torch.Tensor:
        """int64 in [0, high), high below 2^31 (the bias is below high / 2^32)."""
        return (self.words(step, shape, stream) * high) >> 32

    def normal(self, step: int, shape: tuple[int, ...] = (), stream: int = 0) -> torch.Tensor:
        """float32, standard normal (Box-Muller)."""
        count = math.prod(shape)
        half = (count + 1) // 2

        def drawn(some: Draws) -> torch.Tensor:
            pairs = (some.words(step, (2 * half,), stream) >> 8).to(torch.float32)
            radius = torch.sqrt(-2 * torch.log((pairs[:, :half] + 1) * 2.0**-24))
            angle = pairs[:, half:] * (2 * math.pi * 2.0**-24)
            values = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)
            return values[:, :count].reshape(len(some.ids), *shape)

        return self._in_parts(drawn, shape)

    def select(self, rows: torch.Tensor) -> Draws:
        """The draws of some of the samples: int64 positions or a bool mask."""
        return Draws(self.seed, self.ids[rows])

    def _in_parts(self, drawn: Callable[[Draws], torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
        """float32 (N, *shape) of some samples at a time."""
        size = max(1, _DRAWN_AT_ONCE // max(1, math.prod(shape)))
        if len(self.ids) <= size:
            return drawn(self)
        found = torch.empty(len(self.ids), *shape)
        for start in range(0, len(self.ids), size):
            part = slice(start, start + size)
            found[part] = drawn(Draws(self.seed, self.ids[part]))
        return found


def _philox(counter: tuple[torch.Tensor, ...], key: tuple[int, int]) -> tuple[torch.Tensor, ...]:
    """`philox4x32_arrays` of int64 tensors in [0, 2^32) of shapes that broadcast."""
    c0, c1, c2, c3 = (np.atleast_1d(word.numpy()).view(np.uint64) for word in counter)
    words = philox4x32_arrays((c0, c1, c2, c3), key)
    return tuple(torch.from_numpy(word.view(np.int64)) for word in words)
