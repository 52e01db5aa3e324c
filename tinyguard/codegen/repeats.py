# SPDX-License-Identifier: Apache-2.0
"""The passes of a stochastic network, which lie in memory one over the other.

The graph has every pass as layers of its own. Planned as if there were one, with what a pass must not touch
kept alive, the layers of all passes work at the same offsets and share their code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tinyguard.graph import Graph, Node
from tinyguard.graph.answer import PASS, tensors_of

T = TypeVar("T")


@dataclass(frozen=True)
class Repeats:
    """`count` passes of `period` layers each, from layer `first` on. `twins`: tensor of a later pass -> that
    of the first. `carried`: tensors of the first pass whose values the next one reads (by their twins)."""

    first: int
    period: int
    count: int
    twins: dict[int, int]
    carried: frozenset[int]

    @property
    def end(self) -> int:
        """The layer after the last pass."""
        return self.first + self.count * self.period

    def once(self, layers: Sequence[T]) -> list[T]:
        """What belongs to the layers, a pass once."""
        return [*layers[: self.first + self.period], *layers[self.end :]]

    def steps(self, step: int) -> list[int]:
        """The layers of the graph that layer `step` of `once` stands for."""
        if step < self.first:
            return [step]
        if step >= self.first + self.period:
            return [step + (self.count - 1) * self.period]
        return [step + run * self.period for run in range(self.count)]

    def graph(self, graph: Graph) -> Graph:
        """The graph with one pass, whose other outputs are what all passes read: nothing overwrites that."""
        inside = graph.nodes[self.first : self.end]
        before = {*graph.inputs, *(i for node in graph.nodes[: self.first] for i in node.outputs)}
        shared = {index for node in inside for index in node.inputs} & before
        nodes = tuple(
            replace(node, inputs=tuple(self.twins.get(index, index) for index in node.inputs))
            for node in self.once(graph.nodes)
        )
        outputs = dict.fromkeys([*graph.outputs, *sorted(shared), *sorted(self.carried)])
        return replace(graph, nodes=nodes, outputs=tuple(outputs))


def find_repeats(graph: Graph) -> Repeats | None:
    """The passes of the graph; None where there are not two, or where they differ."""
    passes = set(tensors_of(graph, PASS))
    ends = [step for step, node in enumerate(graph.nodes) if passes.intersection(node.inputs)]
    count = len(passes)
    if count < 2 or len(ends) != count:
        return None
    period = ends[1] - ends[0]
    first = ends[0] + 1 - period
    if first < 0 or ends != [ends[0] + run * period for run in range(count)]:
        return None
    twins: dict[int, int] = {}
    carried: set[int] = set()
    for run in range(1, count):
        for offset in range(period):
            one, other = graph.nodes[first + offset], graph.nodes[first + run * period + offset]
            if not _alike(graph, one, other, twins, carried, passes):
                return None
            twins.update(zip(other.outputs, one.outputs, strict=True))
    return Repeats(first, period, count, twins, frozenset(carried))


def _alike(
    graph: Graph, one: Node, other: Node, twins: dict[int, int], carried: set[int], passes: set[int]
) -> bool:
    """Whether a layer of a later pass is that of the first; notes what it reads of the pass before it."""
    if one.operator != other.operator or len(one.outputs) != len(other.outputs):
        return False
    for a, b in zip(one.outputs, other.outputs, strict=True):
        if (
            graph.tensors[a].shape != graph.tensors[b].shape
            or graph.tensors[a].dtype != graph.tensors[b].dtype
        ):
            return False
    if passes.intersection(one.inputs):
        carried.add(one.outputs[0])
        return twins.get(other.inputs[0]) == one.inputs[0] and len(other.inputs) == 2
    if len(one.inputs) != len(other.inputs):
        return False
    return all(
        a == b or twins.get(b) == a or _same_constant(graph, a, b)
        for a, b in zip(one.inputs, other.inputs, strict=True)
    )


def _same_constant(graph: Graph, a: int, b: int) -> bool:
    if a < 0 or b < 0:
        return False
    x, y = graph.tensors[a].data, graph.tensors[b].data
    return x is not None and y is not None and x.dtype == y.dtype and x.tobytes() == y.tobytes()
