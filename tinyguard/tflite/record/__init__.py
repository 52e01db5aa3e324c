# SPDX-License-Identifier: Apache-2.0
"""The metadata record, one file per section; `registry` finds them.

To add a section, write `tflite/record/NAME.py`, or a module of another package as `tinyguard.plugins` says: a
frozen dataclass of what it says, functions that parse it and that insert its layers, and at the end

    SECTION = Section(
        "NAME", "as messages call it", parse, as_json, insert=insert_layers, place="answer"
    )

Nothing else is edited: the file requires the section by name, a reader without it refuses the file, and every
back end, the generated C and `tinyguard diff` carry its layers out. Layers of a new kind are operators
(`operators/NAME.py`, or a class beside the section). A section that adds outputs states their roles in
`Graph.roles`.
"""

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any

from tinyguard import plugins
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.tflite.record.section import ALONE, PLACES, RESERVED, Section

__all__ = ["PLACES", "RESERVED", "Section", "in_order", "insert_sections", "registry"]


@functools.cache
def registry() -> dict[str, Section]:
    """Name -> section, tinyguard's own and those of other packages."""
    sections: dict[str, Section] = {}
    for module in pkgutil.iter_modules(__path__):
        section = getattr(importlib.import_module(f"{__name__}.{module.name}"), "SECTION", None)
        if section is not None:
            sections[section.name] = section
    for extension in plugins.brought():
        if (
            isinstance(extension.value, Section)
            and sections.setdefault(extension.value.name, extension.value) is not extension.value
        ):
            raise plugins.taken("section", extension.value.name, extension.package)
    return sections


def in_order(names: Iterable[str]) -> list[Section]:
    """The sections in the order of their places, those of one place as given."""
    sections = [registry()[name] for name in names]
    return sorted(sections, key=lambda section: -1 if section.place is None else PLACES.index(section.place))


def insert_sections(graph: Graph, values: Mapping[str, Any]) -> Graph:
    """The graph with the layers of all sections. Raises TinyguardError for sections that exclude each other
    and for those that do not fit the network."""
    sections = in_order(values)
    for place in ALONE:
        titles = [section.title for section in sections if section.place == place]
        if len(titles) > 1:
            raise TinyguardError(f"{' and '.join(titles)} in one file: take one away with --remove")
    for section in sections:
        if section.insert is not None:
            graph = section.insert(graph, values[section.name])
    return graph
