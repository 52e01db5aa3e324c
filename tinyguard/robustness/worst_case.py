# SPDX-License-Identifier: Apache-2.0
"""What several attacks together leave: a sample is right only where every attack failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.intervals import wilson


@dataclass(frozen=True, eq=False)
class WorstCase:
    """Per sample (N,): `correct` before, `success` of any run, `nearest` the smallest distance of a success
    in `norm` (infinity without one), `by` the run that it is from (-1)."""

    norm: str
    attacks: tuple[str, ...]
    ids: np.ndarray
    correct: np.ndarray
    success: np.ndarray
    nearest: np.ndarray
    by: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """For --json, with 95 % intervals; `by`: each run's fraction of the nearest successes."""
        count, correct = len(self.ids), int(self.correct.sum())
        left = int((self.correct & ~self.success).sum())
        distances = self.nearest[self.success]
        return {
            "attacks": list(self.attacks),
            "samples": count,
            "clean_accuracy": correct / count if count else 0.0,
            "accuracy_under_attack": left / count if count else 0.0,
            "robust_share_of_correct": left / correct if correct else 0.0,
            "ci95": {
                "accuracy_under_attack": list(wilson(left, count)),
                "robust_share_of_correct": list(wilson(left, correct)),
            },
            "norm": self.norm,
            "distance_median": float(np.median(distances)) if len(distances) else None,
            "distance_mean": float(distances.mean()) if len(distances) else None,
            "by": [int((self.by == index).sum()) for index in range(len(self.attacks))],
        }


def worst_case(runs: Sequence[AttackRun]) -> WorstCase:
    """The worst of `runs`, each on the same samples of the same network and in the first one's norm.

    Raises TinyguardError where networks, samples or labels differ.
    """
    if not runs:
        raise TinyguardError("no runs to take the worst case of: attack first")
    first = runs[0]
    for run in runs[1:]:
        same = np.array_equal(run.ids, first.ids) and np.array_equal(run.y, first.y)
        if not same or run.conditions.model_sha256 != first.conditions.model_sha256:
            raise TinyguardError(
                f"{run.conditions.attack} and {first.conditions.attack} ran on other samples or networks: "
                "repeat them with the same --data and --limit"
            )
    norm = first.conditions.norm
    distance = np.stack([np.where(run.success, run.distances.of(norm), np.inf) for run in runs])
    success = np.stack([run.success for run in runs]).any(axis=0)
    return WorstCase(
        norm=norm,
        attacks=tuple(run.conditions.attack for run in runs),
        ids=first.ids,
        correct=first.correct,
        success=success,
        nearest=distance.min(axis=0),
        by=np.where(success, distance.argmin(axis=0), -1),
    )
