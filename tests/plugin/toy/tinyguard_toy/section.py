# SPDX-License-Identifier: Apache-2.0
"""The section of the record: {"toy_mark": {"above": 40}}, the file's value of the setting ABOVE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node, Setting, Tensor
from tinyguard.graph.answer import MARK, answer_tensor
from tinyguard.tflite.record import Section
from tinyguard_toy.mark import ABOVE


@dataclass(frozen=True)
class Mark:
    """`above`: the code that the largest score must reach, else the answer is marked."""

    above: int

    def as_json(self) -> dict[str, int]:
        return {"above": self.above}


def parse_mark(section: Any) -> Mark:
    if not isinstance(section, dict) or set(section) != {"above"} or type(section["above"]) is not int:
        raise TinyguardError("tinyguard metadata: toy_mark is not an object with the whole number `above`")
    return Mark(section["above"])


def insert_mark(graph: Graph, mark: Mark) -> Graph:
    """The graph with one more output, the mark of its answer, and the setting that it follows."""
    tensor = Tensor(len(graph.tensors), "toy mark", (1, 1), "int32")
    node = Node(len(graph.nodes), "TOY_MARK", (answer_tensor(graph).index,), (tensor.index,))
    return replace(
        graph,
        tensors=(*graph.tensors, tensor),
        nodes=(*graph.nodes, node),
        outputs=(*graph.outputs, tensor.index),
        roles=MappingProxyType({**graph.roles, tensor.index: MARK.name}),
        settings=(*graph.settings, Setting(ABOVE, "int32", (mark.above,), ((-128, 128),))),
    )


SECTION = Section("toy_mark", "toy marks", parse_mark, Mark.as_json, insert=insert_mark, place="answer")
