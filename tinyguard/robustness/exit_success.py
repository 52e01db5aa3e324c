# SPDX-License-Identifier: Apache-2.0
"""Attacks on networks with exits: which samples they are about, and when they have won. No torch."""

from __future__ import annotations

import numpy as np

from tinyguard.robustness.scoring import Scores


def base_of(on: str | None, clean: Scores, labels: np.ndarray, exits: int) -> np.ndarray:
    """bool (N,): the samples that an attack `on` a goal is about: those answered right; of a slowdown those
    that are answered before the last exit, right or wrong."""
    if on == "slowdown":
        assert clean.exit is not None
        return np.asarray(clean.exit < exits)
    return np.asarray(clean.decided == labels)


def won(
    on: str | None, before: np.ndarray | None, final: Scores, labels: np.ndarray, targets: np.ndarray | None
) -> np.ndarray:
    """bool (N,): whether the attack has what it wants; `before`, int64 (N,): the exits of clean inputs."""
    if on not in ("slowdown", "early-wrong"):
        return final.fooled(labels, targets)
    assert before is not None
    assert final.exit is not None
    if on == "slowdown":
        return np.asarray(final.exit > before)
    return final.fooled(labels, targets) & (final.exit <= before)
