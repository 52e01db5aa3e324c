# SPDX-License-Identifier: Apache-2.0
"""Input filters: as people type them, as the metadata keeps them, as the first layers of the graph.

bit-depth:4   mean:2   median:3   gaussian:5   dct:75   tv:4:20
{"filters": [{"name": "median", "size": 3}, {"name": "tv", "strength": 4, "iterations": 20}]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from types import MappingProxyType
from typing import Any

from tinyguard.errors import TinyguardError, unknown
from tinyguard.graph import Graph, Node, Tensor
from tinyguard.tflite.record.section import Section


@dataclass(frozen=True)
class FilterKind:
    """`operator` is the layer's; `defaults` are the parameters' names in the order of typing."""

    operator: str
    defaults: Mapping[str, int]


KINDS: Mapping[str, FilterKind] = MappingProxyType(
    {
        "bit-depth": FilterKind("FILTER_BIT_DEPTH", {"bits": 4}),
        "mean": FilterKind("FILTER_MEAN", {"size": 2}),
        "median": FilterKind("FILTER_MEDIAN", {"size": 3}),
        "gaussian": FilterKind("FILTER_GAUSSIAN", {"size": 3}),
        "dct": FilterKind("FILTER_DCT", {"quality": 75}),
        "tv": FilterKind("FILTER_TOTAL_VARIATION", {"strength": 4, "iterations": 20}),
    }
)


@dataclass(frozen=True)
class InputFilter:
    """One filter: `name` is a key of KINDS, `parameters` has all of its numbers."""

    name: str
    parameters: Mapping[str, int]

    def __str__(self) -> str:
        return ":".join([self.name, *map(str, self.parameters.values())])

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, **self.parameters}


def parse_filter(text: str) -> InputFilter:
    """A filter as it is typed: a name and its numbers, missing ones at their defaults."""
    name, *numbers = text.split(":")
    defaults = _kind(name).defaults
    usage = ":".join([name, *(key.upper() for key in defaults)])
    if len(numbers) > len(defaults) or not all(number.isdecimal() for number in numbers):
        raise TinyguardError(f"filter {text!r} is not of the form {usage}")
    given = dict(zip(defaults, map(int, numbers), strict=False))
    return InputFilter(name, MappingProxyType({**defaults, **given}))


def filter_from_json(section: Any) -> InputFilter:
    """A filter of the metadata. Raises TinyguardError for what this version cannot run."""
    if not isinstance(section, dict) or not isinstance(section.get("name"), str):
        raise TinyguardError("tinyguard metadata: a filter without a name; harden the model again")
    name = section["name"]
    given = {key: value for key, value in section.items() if key != "name"}
    known = _kind(name).defaults
    if list(given) != list(known) or not all(type(value) is int for value in given.values()):
        raise TinyguardError(
            f"tinyguard metadata: filter {name} has {', '.join(given) or 'no numbers'}, and this version "
            f"knows {', '.join(known)}: harden the model again"
        )
    return InputFilter(name, MappingProxyType(given))


def insert_filters(graph: Graph, filters: Sequence[InputFilter]) -> Graph:
    """The graph with the filters, in their order, between its one input and every layer that reads it."""
    if not filters:
        return graph
    if len(graph.inputs) != 1:
        raise TinyguardError(f"input filters on a network with {len(graph.inputs)} inputs, and they take one")
    (first,) = graph.inputs
    tensors, nodes, last = list(graph.tensors), [], first
    for position, input_filter in enumerate(filters):
        source = graph.tensors[first]
        tensor = Tensor(
            len(tensors), f"filter {input_filter}", source.shape, source.dtype, source.quantization
        )
        nodes.append(
            Node(
                position,
                KINDS[input_filter.name].operator,
                (last,),
                (tensor.index,),
                MappingProxyType(dict(input_filter.parameters)),
            )
        )
        tensors.append(tensor)
        last = tensor.index
    for node in graph.nodes:
        inputs = tuple(last if index == first else index for index in node.inputs)
        nodes.append(replace(node, index=len(nodes), inputs=inputs))
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes))


def filters_of(graph: Graph) -> Graph:
    """The input filters alone: the leading layers that are any."""
    operators = {kind.operator for kind in KINDS.values()}
    nodes = tuple(takewhile(lambda node: node.operator in operators, graph.nodes))
    return replace(graph, nodes=nodes, outputs=nodes[-1].outputs if nodes else graph.inputs)


def _kind(name: str) -> FilterKind:
    if name == "pixel-defend":
        raise TinyguardError(
            "filter pixel-defend runs on the host only, as every pixel takes an evaluation of a PixelCNN: "
            "type tinyguard harden purify DATA --pixel-cnn WEIGHTS.npz -o purified.npz"
        )
    if name not in KINDS:
        raise unknown("filter", name, KINDS)
    return KINDS[name]


def _parse(section: Any) -> tuple[InputFilter, ...] | None:
    if not isinstance(section, list):
        raise TinyguardError("tinyguard metadata: filters is not a list; harden the model again")
    return tuple(filter_from_json(described) for described in section) or None


def _as_json(filters: Sequence[InputFilter]) -> list[dict[str, Any]]:
    return [input_filter.as_json() for input_filter in filters]


SECTION = Section("filters", "input filters", _parse, _as_json, insert=insert_filters, place="input")
