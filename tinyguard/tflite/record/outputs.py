"""What the file's outputs are called and what they mean, an object per output, in their order:

{"outputs": [{"name": "class", "role": "scores"}, {}]}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.tflite.record.section import Section

_KEYS = ("name", "role")


@dataclass(frozen=True)
class Output:
    """`name`: what people call it. `role`: what it means, as `Graph.roles` has it. None where nobody says."""

    name: str | None = None
    role: str | None = None

    def as_json(self) -> dict[str, str]:
        said = {"name": self.name, "role": self.role}
        return {key: text for key, text in said.items() if text is not None}


def state_outputs(graph: Graph, outputs: Sequence[Output]) -> Graph:
    """The graph with these names and roles of its outputs."""
    if len(outputs) != len(graph.outputs):
        raise TinyguardError(
            f"tinyguard metadata describes {len(outputs)} outputs, and the file has {len(graph.outputs)}; "
            "quantize the model again"
        )
    said = list(zip(graph.outputs, outputs, strict=True))
    names = {index: output.name for index, output in said if output.name is not None}
    roles = {index: output.role for index, output in said if output.role is not None}
    return replace(
        graph,
        roles=MappingProxyType({**graph.roles, **roles}),
        output_names=MappingProxyType({**graph.output_names, **names}),
    )


def _parse(section: Any) -> tuple[Output, ...]:
    if not isinstance(section, list) or not all(isinstance(one, dict) for one in section):
        raise TinyguardError(
            "tinyguard metadata: outputs is not a list of one object per output; quantize the model again"
        )
    for one in section:
        if not set(one) <= set(_KEYS):
            raise TinyguardError(
                f"tinyguard metadata: outputs says more than {' and '.join(_KEYS)}; update tinyguard"
            )
        if not all(isinstance(text, str) and text and text.isprintable() for text in one.values()):
            raise TinyguardError(
                "tinyguard metadata: outputs has a name or role that is no printable text; quantize the "
                "model again"
            )
    return tuple(Output(**one) for one in section)


def _as_json(outputs: Sequence[Output]) -> list[dict[str, str]]:
    return [one.as_json() for one in outputs]


SECTION = Section("outputs", "names and roles of outputs", _parse, _as_json, insert=state_outputs)
