# SPDX-License-Identifier: Apache-2.0
"""What every exit says of samples before and after an attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyguard.exits.measured import Measured, measure
from tinyguard.graph.exit_policy import policy_of
from tinyguard.graph.multi_exit import exit_tensors
from tinyguard.robustness.attacked_network import Target


@dataclass(frozen=True, eq=False)
class ExitRun:
    """What every exit says of N samples before and after an attack, under the policy in force."""

    before: Measured
    after: Measured
    taken_before: np.ndarray
    taken_after: np.ndarray

    def as_dict(self, labels: np.ndarray, made_on: int | None) -> dict[str, Any]:
        """For --json: per exit the accuracy on all samples before and after, and their means; the mean exit,
        from 1; of an attack made on one exit, from 1, the two transfer figures to every exit."""
        clean, attacked = (m.label == labels[:, None] for m in (self.before, self.after))
        figures: dict[str, Any] = {
            "clean_accuracy": clean.mean(0).tolist(),
            "accuracy_under_attack": attacked.mean(0).tolist(),
            "mean_accuracy_under_attack": float(attacked.mean()),
            "mean_exit_before": float(self.taken_before.mean()) + 1,
            "mean_exit": float(self.taken_after.mean()) + 1,
            "left_at": np.bincount(self.taken_after, minlength=self.after.exits).tolist(),
        }
        if made_on is not None:
            figures["transfer"] = _transfer(clean, attacked, made_on - 1)
        return figures


def _transfer(clean: np.ndarray, attacked: np.ndarray, made_on: int) -> dict[str, list[float | None]]:
    """`of_all`: samples that exit j gets wrong; `of_fooled`: the same, of those that the exit the attack was
    made on got right and gets wrong now, and that exit j got right. They need not agree."""
    fooled = clean[:, made_on] & ~attacked[:, made_on]
    of_fooled: list[float | None] = []
    for place in range(clean.shape[1]):
        both = fooled & clean[:, place]
        of_fooled.append(float((~attacked[both, place]).mean()) if both.any() else None)
    return {"of_all": (~attacked).mean(0).tolist(), "of_fooled": of_fooled}


def exit_run(target: Target, codes: np.ndarray, inputs: np.ndarray) -> ExitRun | None:
    """Measured on the host, which equals the device in every byte; None for a network without exits, and for
    inputs that no device can be given."""
    if not exit_tensors(target.graph) or target.is_float or inputs.dtype == np.float32:
        return None
    before, after = (measure(target.graph, x, simulator=target.simulator) for x in (codes, inputs))
    policy = policy_of(target.graph)
    assert policy is not None
    return ExitRun(before, after, before.taken(policy), after.taken(policy))
