# SPDX-License-Identifier: Apache-2.0
"""Random numbers of training that depend on the seed, the epoch and the step alone, so that a resumed run
draws what an uninterrupted one would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

ORDER, CROPS, START, SOURCE, LAYERS, CLASSES = range(6)  # what is drawn for: each has its own stream


@dataclass(frozen=True)
class StepDraws:
    """The draws of one step of one epoch, both counted from 0 over the whole run."""

    seed: int
    epoch: int
    step: int = 0

    def generator(self, purpose: int) -> torch.Generator:
        """A generator of its own for one purpose, as ORDER and CROPS are."""
        return torch.Generator().manual_seed(self.number(purpose))

    def number(self, purpose: int) -> int:
        """A seed in [0, 2^63)."""
        words = np.random.SeedSequence([self.seed, self.epoch, self.step, purpose]).generate_state(
            2, np.uint32
        )
        return int(words[0] >> 1) << 32 | int(words[1])

    def integer(self, high: int, purpose: int) -> int:
        """One whole number in [0, high)."""
        return int(torch.randint(high, (), generator=self.generator(purpose)))
