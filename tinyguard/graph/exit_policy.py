# SPDX-License-Identifier: Apache-2.0
"""When a network with several exits answers: the policies, in whole numbers, and the settings that hold them.

One of the kinds is in force, with a threshold for each exit but the last, which always answers:

    never        at the last exit alone
    confidence   where the largest softmax code + 128 is the threshold or more, 0 to 256 (256: never)
    margin       where the two largest logits differ by the threshold or more codes, 0 to 256 (256: never)
    entropy      where the entropy is the threshold or less, 1/1024 bit, -1 to 1024 log2 classes (-1: never)
    patience     where the last k exits name one class; one k for all, 1 to the number of exits
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinyguard.errors import TinyguardError, unknown
from tinyguard.graph.answer import ENTROPY_UNITS
from tinyguard.graph.graph import Graph
from tinyguard.graph.settings import Setting

KINDS = ("never", "confidence", "margin", "entropy", "patience")
POLICY = "exit-policy"
SETTINGS = (POLICY, *(f"exit-{kind}" for kind in KINDS[1:]))
_LEVELS = 256  # of a probability, and more than two codes can differ


@dataclass(frozen=True)
class Policy:
    """`kind` is one of KINDS; `thresholds` has one for each exit but the last, of `patience` one in all, of
    `never` none."""

    kind: str
    thresholds: tuple[int, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.kind, ",".join(map(str, self.thresholds))]).strip()

    def check(self, exits: int, classes: int) -> None:
        """Raise TinyguardError, in one line, where a network of so many exits cannot have it."""
        if self.kind not in KINDS:
            raise unknown("exit policy", self.kind, KINDS)
        wanted = threshold_count(self.kind, exits)
        if len(self.thresholds) != wanted:
            raise TinyguardError(
                f"the policy {self.kind} of {exits} exits takes {wanted} threshold{'s' * (wanted != 1)} and "
                f"got {len(self.thresholds)}"
            )
        if wanted:
            low, high = threshold_range(self.kind, exits, classes)
            for threshold in self.thresholds:
                if not low <= threshold <= high:
                    raise TinyguardError(
                        f"the policy {self.kind} takes thresholds from {low} to {high} and got {threshold}"
                    )

    def values(self) -> dict[str, tuple[int, ...]]:
        """The settings that put it in force; thresholds of other kinds stay as they are."""
        values: dict[str, tuple[int, ...]] = {POLICY: (KINDS.index(self.kind),)}
        if self.kind != "never":
            values[f"exit-{self.kind}"] = self.thresholds
        return values


def only_exit(number: int, exits: int) -> Policy:
    """The policy by which exit `number`, from 1, answers whatever it says. Raises TinyguardError for an exit
    that is not there."""
    if not 1 <= number <= exits:
        raise TinyguardError(f"no exit {number}: the network has exits 1 to {exits}")
    if number == exits:
        return Policy("never")
    never = (_LEVELS,) * (number - 1)
    return Policy("confidence", (*never, 0, *(0,) * (exits - number - 1)))


def threshold_count(kind: str, exits: int) -> int:
    """How many thresholds a policy has on a network of so many exits."""
    return {"never": 0, "patience": 1}.get(kind, exits - 1)


def threshold_range(kind: str, exits: int, classes: int) -> tuple[int, int]:
    """The lowest and the highest threshold of a policy other than `never`."""
    return {
        "confidence": (0, _LEVELS),
        "margin": (0, _LEVELS),
        "entropy": (-1, math.floor(ENTROPY_UNITS * math.log2(classes))),
        "patience": (1, exits),
    }[kind]


def never_leaves(kind: str, exits: int) -> int:
    """The threshold with which a policy answers at the last exit alone."""
    return {"entropy": -1, "patience": exits}.get(kind, _LEVELS)


def settings_of(policy: Policy, exits: int, classes: int) -> tuple[Setting, ...]:
    """What a network of so many exits declares, with `policy` in force. Raises as `Policy.check`.

    All are int32 and lie in memory one after the other in this order, which the gates in C count on.
    """
    policy.check(exits, classes)
    settings = [Setting(POLICY, "int32", (KINDS.index(policy.kind),), ((0, len(KINDS) - 1),))]
    for kind in KINDS[1:]:
        count = threshold_count(kind, exits)
        never = (never_leaves(kind, exits),) * count
        value = policy.thresholds if kind == policy.kind else never
        ranges = (threshold_range(kind, exits, classes),) * count
        settings.append(Setting(f"exit-{kind}", "int32" if kind == "patience" else "int32[]", value, ranges))
    return tuple(settings)


def policy_of(graph: Graph) -> Policy | None:
    """The policy in force; None for a network without exits."""
    return read_policy({setting.name: setting.value for setting in graph.settings})


def read_policy(values: Mapping[str, Sequence[int]]) -> Policy | None:
    """The policy that values of settings put in force; None where they hold none."""
    if POLICY not in values:
        return None
    kind = KINDS[values[POLICY][0]]
    return Policy(kind, () if kind == "never" else tuple(values[f"exit-{kind}"]))
