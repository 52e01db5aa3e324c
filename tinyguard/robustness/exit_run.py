# SPDX-License-Identifier: Apache-2.0
"""What every exit says of samples before and after an attack, and where they leave. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyguard.exits.figures import efficacy_of


@dataclass(frozen=True, eq=False)
class ExitRun:
    """Of N samples and L exits, under the policy in force: the class that each exit names, int64 (N, L), and
    the exit that is taken, int64 (N,), from 1, `before` and after; `cost` float64 (L,): multiply-accumulates
    up to each exit, earlier heads included, as a fraction of all."""

    labels_before: np.ndarray
    labels: np.ndarray
    taken_before: np.ndarray
    taken: np.ndarray
    cost: np.ndarray

    def as_dict(self, y: np.ndarray, made_on: int | None) -> dict[str, Any]:
        """For --json, with labels `y`: per exit the accuracy on all samples before and after, and their
        mean; the mean exit, cost and efficacy; of an attack made on one exit, from 1, the transfer to every
        exit."""
        before, after = (labels == y[:, None] for labels in (self.labels_before, self.labels))
        exits = after.shape[1]
        figures: dict[str, Any] = {
            "clean_accuracy": before.mean(0).tolist(),
            "accuracy_under_attack": after.mean(0).tolist(),
            "mean_accuracy_under_attack": float(after.mean()),
            "mean_exit_before": float(self.taken_before.mean()),
            "mean_exit": float(self.taken.mean()),
            "left_at_before": np.bincount(self.taken_before - 1, minlength=exits).tolist(),
            "left_at": np.bincount(self.taken - 1, minlength=exits).tolist(),
            "mean_cost_before": float(self.cost[self.taken_before - 1].mean()),
            "mean_cost": float(self.cost[self.taken - 1].mean()),
            "efficacy_before": self._efficacy(self.taken_before),
            "efficacy": self._efficacy(self.taken),
        }
        if made_on is not None:
            figures["transfer"] = _transfer(before, after, made_on - 1)
        return figures

    def _efficacy(self, taken: np.ndarray) -> float:
        left = np.bincount(taken - 1, minlength=len(self.cost)) / len(taken)
        return efficacy_of(left.tolist(), self.cost.tolist())


def _transfer(before: np.ndarray, after: np.ndarray, made_on: int) -> dict[str, list[float | None]]:
    """`of_all`: samples that exit j gets wrong; `of_fooled`: the same, of those that the exit the attack was
    made on got right and gets wrong now, and that exit j got right. They need not agree."""
    fooled = before[:, made_on] & ~after[:, made_on]
    of_fooled: list[float | None] = []
    for place in range(before.shape[1]):
        both = fooled & before[:, place]
        of_fooled.append(float((~after[both, place]).mean()) if both.any() else None)
    return {"of_all": (~after).mean(0).tolist(), "of_fooled": of_fooled}
