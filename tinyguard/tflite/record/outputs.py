# SPDX-License-Identifier: Apache-2.0
"""What the file's outputs mean, an object per output, in their order:

{"outputs": [{"role": "scores"}, {}]}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.tflite.record.section import Section

Roles = tuple[str | None, ...]
"""A role of `tinyguard.graph.answer` per output; None where the file does not say."""


def state_roles(graph: Graph, said: Sequence[str | None]) -> Graph:
    """The graph with these roles of its outputs."""
    if len(said) != len(graph.outputs):
        raise TinyguardError(
            f"tinyguard metadata describes {len(said)} outputs, and the file has {len(graph.outputs)}; "
            "quantize the model again"
        )
    roles = {index: role for index, role in zip(graph.outputs, said, strict=True) if role is not None}
    return replace(graph, roles=MappingProxyType({**graph.roles, **roles}))


def _parse(section: Any) -> Roles:
    if not isinstance(section, list) or not all(isinstance(output, dict) for output in section):
        raise TinyguardError(
            "tinyguard metadata: outputs is not a list of one object per output; quantize the model again"
        )
    for output in section:
        if not set(output) <= {"role"}:
            raise TinyguardError("tinyguard metadata: outputs says more than a role; update tinyguard")
        if not all(isinstance(text, str) and text and text.isprintable() for text in output.values()):
            raise TinyguardError(
                "tinyguard metadata: outputs has a role that is no printable text; quantize the model again"
            )
    return tuple(output.get("role") for output in section)


def _as_json(said: Sequence[str | None]) -> list[dict[str, str]]:
    return [{} if role is None else {"role": role} for role in said]


SECTION = Section("outputs", "roles of outputs", _parse, _as_json, insert=state_roles)
