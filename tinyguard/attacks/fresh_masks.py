# SPDX-License-Identifier: Apache-2.0
"""Seeds of masks that an attacker of a stochastic network draws, and others that judge what came of it.

Each is 64 bits of Philox4x32-10 (Salmon et al. 2011), a function of a key, a purpose, a step and the draw's
number. Scoring seeds are odd and all that an attack sees are even: no attack can fit what it is judged with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyguard.arithmetic.philox import philox4x32_arrays

_WORD = 0xFFFFFFFF
_TRIED = 4
_SLOPES, _QUERIES, _CHOICE, _SCORING = 0, 1, 2, 3


@dataclass(frozen=True)
class FreshMasks:
    """`attack_seeds` masks per step go into the mean that a gradient attack climbs (expectation over
    transformation, Athalye et al. 2018, arXiv 1707.07397), `scoring_seeds` into the figures' mean and
    deviation. `key`, 64 bits, begins both streams."""

    attack_seeds: int = 8
    scoring_seeds: int = 10
    key: int = 0

    def slopes(self, step: int) -> tuple[int, ...]:
        """What a gradient attack averages over in its look number `step`."""
        return self._seeds(_SLOPES, step, self.attack_seeds)

    def query(self, step: int) -> int:
        """The masks of a black-box attack's call number `step`."""
        return self._seeds(_QUERIES, step, 1)[0]

    def choice(self) -> tuple[int, ...]:
        """What an attacker tries his candidates on before he sends one: forward passes alone, so more."""
        return self._seeds(_CHOICE, 0, _TRIED * self.attack_seeds)

    def scoring(self) -> tuple[int, ...]:
        """What no attacker sees."""
        return self._seeds(_SCORING, 0, self.scoring_seeds)

    def _seeds(self, purpose: int, step: int, count: int) -> tuple[int, ...]:
        draws, zero = np.arange(count, dtype=np.uint64), np.zeros(1, np.uint64)
        counter = (
            draws,
            zero + np.uint64(step & _WORD),
            zero + np.uint64(step >> 32),
            zero + np.uint64(purpose),
        )
        low, high, *_ = philox4x32_arrays(counter, (self.key & _WORD, self.key >> 32 & _WORD))
        odd = np.uint64(purpose == _SCORING)
        words = (low | high << np.uint64(32)) & ~np.uint64(1) | odd
        return tuple(int(word) for word in words)
