# SPDX-License-Identifier: Apache-2.0
"""What attacked inputs do to a stochastic network under masks that the attack has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyguard.robustness.scoring import Scores, scores_of

if TYPE_CHECKING:
    from tinyguard.attacks.fresh_masks import FreshMasks
    from tinyguard.simulator.network import Simulator


@dataclass(frozen=True, eq=False)
class UnderSeeds:
    """`right` and `left`, bool (seeds, N): samples that are right before and (those of them) after the attack
    under each scoring seed. `promising` int64 (N,): under how many of the attacker's own seeds his input
    fools, which is what he knows before he sends it."""

    right: np.ndarray
    left: np.ndarray
    promising: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "scoring_seeds": len(self.left),
            "clean_accuracy": mean_and_deviation(self.right),
            "accuracy_under_attack": mean_and_deviation(self.left),
        }


def mean_and_deviation(right: np.ndarray) -> dict[str, float | None]:
    """Of the accuracies of `right`, bool (seeds, N); the deviation is the sample's, None for one seed."""
    shares = right.mean(axis=1) if right.shape[1] else np.zeros(len(right))
    return {
        "mean": float(shares.mean()),
        "std": float(shares.std(ddof=1)) if len(shares) > 1 else None,
    }


def under_seeds(
    simulator: Simulator,
    masks: FreshMasks,
    clean: np.ndarray,
    inputs: np.ndarray,
    labels: np.ndarray,
    targets: np.ndarray | None,
    valid: np.ndarray,
) -> UnderSeeds:
    """Score `clean` codes and attacked `inputs`, both (N, *shape), again under each scoring seed.

    `valid` bool (N,): inputs that may count as a success, for they keep the budget.
    """

    def scored(seeds: Sequence[int], x: np.ndarray) -> list[Scores]:
        return [scores_of(simulator.graph, y, labels) for y in simulator.run_under(seeds, x)]

    def fooled(seeds: Sequence[int]) -> np.ndarray:
        return valid & np.stack([scores.fooled(labels, targets) for scores in scored(seeds, inputs)])

    right = np.stack([scores.decided == labels for scores in scored(masks.scoring(), clean)])
    promising = fooled(masks.choice()).sum(axis=0, dtype=np.int64)
    return UnderSeeds(right, right & ~fooled(masks.scoring()), promising)
