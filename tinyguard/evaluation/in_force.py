# SPDX-License-Identifier: Apache-2.0
"""Which values of a network's settings a run used, and which of them are not the file's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinyguard.graph import Graph
from tinyguard.graph.exit_policy import Policy, policy_of


@dataclass(frozen=True)
class InForce:
    """A setting's entries as a run used them, and as the file has them."""

    value: tuple[int, ...]
    file: tuple[int, ...]

    def __str__(self) -> str:
        origin = "the file's" if self.value == self.file else f"file: {_entries(self.file)}"
        return f"{_entries(self.value)} ({origin})"


@dataclass(frozen=True)
class PolicyInForce:
    """The policy by which exits answered in a run, and the file's."""

    value: Policy
    file: Policy

    def __str__(self) -> str:
        origin = "the file's" if self.value == self.file else f"file: {self.file}"
        return f"{self.value} ({origin})"


def settings_in_force(used: Graph, file: Graph) -> Mapping[str, InForce] | None:
    """By name, from the graph that ran and that of the file; None for a network without settings."""
    pairs = zip(used.settings, file.settings, strict=True)
    return {ours.name: InForce(ours.value, theirs.value) for ours, theirs in pairs} or None


def policy_in_force(used: Graph, file: Graph) -> PolicyInForce | None:
    """From the graph that ran and that of the file; None for a network without exits."""
    ours, theirs = policy_of(used), policy_of(file)
    return None if ours is None or theirs is None else PolicyInForce(ours, theirs)


def _entries(value: tuple[int, ...]) -> str:
    return ",".join(map(str, value))
