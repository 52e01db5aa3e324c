# SPDX-License-Identifier: Apache-2.0
"""What one attack on one network was asked for, checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from tinyguard.attacks.problem import Attack, Outcome
from tinyguard.errors import TinyguardError
from tinyguard.robustness.attacked_network import Target
from tinyguard.robustness.budget import check_eps
from tinyguard.robustness.threat_model import check_setting, norm_of


@dataclass(frozen=True, eq=False)
class Job:
    """What `attack_samples` was asked for; also some of its samples."""

    target: Target
    attack: Attack
    setting: str
    codes: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    targets: np.ndarray | None
    eps: float | None
    seed: int
    crafted: Outcome | None = None
    nearest: np.ndarray | None = None

    def at(self, rows: np.ndarray) -> Job:
        """Some of the samples: int64 positions."""
        targets = None if self.targets is None else self.targets[rows]
        part = {"codes": self.codes[rows], "labels": self.labels[rows], "ids": self.ids[rows]}
        crafted = None if self.crafted is None else self.crafted.select(torch.from_numpy(rows))
        nearest = None if self.nearest is None else self.nearest[rows]
        return replace(self, targets=targets, crafted=crafted, nearest=nearest, **part)

    def check(self) -> None:
        """Raise TinyguardError for a setting, a budget, samples or classes that do not fit."""
        check_setting(self.target, self.attack, self.setting)
        if self.target.goal is not None:
            self.target.goal.check(self.attack, self.target.show)
        if self.eps is not None:
            check_eps(self.eps, norm_of(self.attack))
            if self.setting != "transfer" and norm_of(self.attack) in ("linf", "l2"):
                self.target.space.radius(norm_of(self.attack), self.eps)
        tensor = self.target.graph.tensors[self.target.graph.inputs[0]]
        shape, dtype = self.codes.shape[1:], str(self.codes.dtype)
        if shape != tuple(tensor.shape[1:]) or dtype != tensor.dtype:
            raise TinyguardError(
                f"samples are {dtype} of shape {shape} and {self.target.path} takes {tensor.dtype} codes of "
                f"shape {tuple(tensor.shape[1:])}"
            )
        self._check_classes("label", self.labels)
        if self.targets is not None:
            self._check_classes("target", self.targets)
            if (same := self.targets == self.labels).any():
                raise TinyguardError(
                    f"the target of sample {int(np.argmax(same))} is its own label: leave such samples out"
                )

    def _check_classes(self, what: str, classes: np.ndarray) -> None:
        if classes.shape != (len(self.codes),):
            raise TinyguardError(f"{len(self.codes)} samples and {what}s of shape {classes.shape}: one each")
        wrong = (classes < 0) | (classes >= self.target.classes)
        if wrong.any():
            bad = int(np.argmax(wrong))
            raise TinyguardError(
                f"{what} {classes[bad]} of sample {bad} is not one of the classes 0 to "
                f"{self.target.classes - 1}"
            )


def whole_numbers(what: str, values: np.ndarray) -> np.ndarray:
    """As int64. Raises TinyguardError for other dtypes, which hide one-hot labels."""
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise TinyguardError(f"{what} are {array.dtype}, not whole numbers: for one-hot ones give argmax(1)")
    return array.astype(np.int64)
