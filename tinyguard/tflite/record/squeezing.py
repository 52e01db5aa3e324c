# SPDX-License-Identifier: Apache-2.0
"""Feature squeezing (Xu et al. 2018, arXiv 1704.01155): as the metadata keeps it, and as layers of the graph.

    {"squeezing": {"squeezers": [{"name": "median", "size": 3}], "threshold": 140}}

The network runs on the raw input and once more on each squeezed version; the answer is that on the raw input,
and a second output says how far apart the farthest two are and whether that is above the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node
from tinyguard.graph.answer import MARK, VERSION, listing, role_of
from tinyguard.tflite.record.filters import KINDS, InputFilter, filter_from_json, filters_of
from tinyguard.tflite.record.section import Section

_MOST = 8
_DETECTION_ELEMENTS = 2


@dataclass(frozen=True)
class Squeezing:
    """`squeezers`: each makes a version of the input. `threshold`: a distance in 1/256, -1 never detects."""

    squeezers: tuple[InputFilter, ...]
    threshold: int = -1

    def as_json(self) -> dict[str, Any]:
        return {"squeezers": [squeezer.as_json() for squeezer in self.squeezers], "threshold": self.threshold}


def squeezing_from_json(section: Any) -> Squeezing:
    """The section of the metadata. Raises TinyguardError for what this version cannot run."""
    if not isinstance(section, dict) or set(section) != {"squeezers", "threshold"}:
        raise TinyguardError(
            "tinyguard metadata: squeezing needs squeezers and threshold and nothing else; harden the model "
            "again"
        )
    squeezers, threshold = section["squeezers"], section["threshold"]
    if not isinstance(squeezers, list) or not 1 <= len(squeezers) <= _MOST:
        raise TinyguardError(f"tinyguard metadata: squeezing takes a list of 1 to {_MOST} squeezers")
    if type(threshold) is not int or threshold < -1:
        raise TinyguardError(f"tinyguard metadata: squeezing with the threshold {threshold!r}")
    return Squeezing(tuple(filter_from_json(squeezer) for squeezer in squeezers), threshold)


def insert_squeezing(graph: Graph, squeezing: Squeezing) -> Graph:
    """The graph with a copy of the network for each squeezed version, and the distance as a second output.

    `graph` may have input filters, which stay in front of all.
    """
    if len(graph.inputs) != 1:
        raise TinyguardError(f"feature squeezing on a network with {len(graph.inputs)} inputs: it takes one")
    if len(graph.outputs) != 1:
        raise TinyguardError(
            f"feature squeezing on a network with {len(graph.outputs)} outputs: {listing(graph)}; type "
            "--output NAME|N for a file with that one alone"
        )
    filters = filters_of(graph)
    copies = _Copies(graph, graph.nodes[len(filters.nodes) :], filters.outputs[0])
    for number, squeezer in enumerate(squeezing.squeezers):
        copies.add(number, squeezer)
    return copies.graph(squeezing.threshold)


class _Copies:
    """Nodes and tensors of the graph in the making; `scores`: outputs of the raw input and its versions."""

    def __init__(self, graph: Graph, network: Sequence[Node], source: int) -> None:
        self.origin, self.network, self.source = graph, network, source
        self.tensors, self.nodes = list(graph.tensors), list(graph.nodes)
        self.scores = [graph.outputs[0]]

    def add(self, number: int, squeezer: InputFilter) -> None:
        renamed = {self.source: self._copy(self.source, f"squeezed by {squeezer}")}
        options = MappingProxyType(dict(squeezer.parameters))
        self._node(Node(0, KINDS[squeezer.name].operator, (self.source,), (renamed[self.source],), options))
        for node in self.network:
            for index in node.outputs:
                renamed[index] = self._copy(index, f"{self.tensors[index].name} squeezed {number}")
            inputs = tuple(renamed.get(index, index) for index in node.inputs)
            self._node(replace(node, inputs=inputs, outputs=tuple(renamed[index] for index in node.outputs)))
        self.scores.append(renamed[self.origin.outputs[0]])

    def _copy(self, index: int, name: str) -> int:
        self.tensors.append(replace(self.tensors[index], index=len(self.tensors), name=name))
        return len(self.tensors) - 1

    def _node(self, node: Node) -> None:
        self.nodes.append(replace(node, index=len(self.nodes)))

    def graph(self, threshold: int) -> Graph:
        scores = self.tensors[self.scores[0]]
        detection = len(self.tensors)
        self.tensors.append(
            replace(
                scores,
                index=detection,
                name="detection",
                shape=(1, _DETECTION_ELEMENTS),
                dtype="int32",
                quantization=None,
            )
        )
        options = MappingProxyType({"threshold": threshold})
        self._node(Node(0, "SQUEEZE_DISTANCE", tuple(self.scores), (detection,), options))
        answer, *versions = self.scores
        stated = {answer: role_of(self.origin, answer).name, detection: MARK.name}
        stated |= dict.fromkeys(versions, VERSION.name)
        return replace(
            self.origin,
            tensors=tuple(self.tensors),
            nodes=tuple(self.nodes),
            outputs=(*self.origin.outputs, detection),
            roles=MappingProxyType({**self.origin.roles, **stated}),
        )


SECTION = Section(
    "squeezing",
    "feature squeezing",
    squeezing_from_json,
    Squeezing.as_json,
    insert=insert_squeezing,
    place="network",
)
