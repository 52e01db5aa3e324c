# SPDX-License-Identifier: Apache-2.0
"""Which values of a network's settings a run used, and which of them are not the file's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinyguard.graph import Graph


@dataclass(frozen=True)
class InForce:
    """A setting's entries as a run used them, and as the file has them."""

    value: tuple[int, ...]
    file: tuple[int, ...]

    def __str__(self) -> str:
        origin = "the file's" if self.value == self.file else f"file: {_entries(self.file)}"
        return f"{_entries(self.value)} ({origin})"


def settings_in_force(used: Graph, file: Graph) -> Mapping[str, InForce] | None:
    """By name, from the graph that ran and that of the file; None for a network without settings."""
    pairs = zip(used.settings, file.settings, strict=True)
    return {ours.name: InForce(ours.value, theirs.value) for ours, theirs in pairs} or None


def _entries(value: tuple[int, ...]) -> str:
    return ",".join(map(str, value))
