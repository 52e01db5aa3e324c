# SPDX-License-Identifier: Apache-2.0
"""What a section of the metadata record is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph

RESERVED = ("version", "requires")
PLACES = ("input", "network", "answer")  # where layers go, in the order in which sections are inserted
ALONE = ("network",)  # places that take the layers of one section


@dataclass(frozen=True)
class Section:
    """One section of the record, `name` in the JSON and `title` in messages.

    `parse` makes a value of its JSON, None where it says nothing, and raises TinyguardError for what this
    version cannot run; `as_json` is the way back. `insert` gives the graph with what the value says.

    `place` says where the layers go: "input" before everything, "network" in place of the network, "answer"
    after its outputs. Without a place the section changes nothing of what the network computes, other
    readers may ignore it, and it is inserted first, when the outputs are still those of the file.
    """

    name: str
    title: str
    parse: Callable[[Any], Any]
    as_json: Callable[[Any], Any]
    insert: Callable[[Graph, Any], Graph] | None = None
    place: str | None = None

    def __post_init__(self) -> None:
        if self.name in RESERVED:
            raise TinyguardError(f"a section of the record cannot have the name {self.name!r}")
        if self.place is not None and (self.place not in PLACES or self.insert is None):
            raise TinyguardError(
                f"section {self.name} with the place {self.place!r} and "
                f"{'no ' if self.insert is None else ''}layers; places: {', '.join(PLACES)}"
            )

    @property
    def computes(self) -> bool:
        """Whether a reader without this section would run another network."""
        return self.place is not None
