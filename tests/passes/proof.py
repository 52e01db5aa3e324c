# SPDX-License-Identifier: Apache-2.0
"""What every pass is held to: the same outputs in every byte."""

from collections.abc import Callable, Sequence

import numpy as np

from tests.operators import oracles
from tests.operators.builder import draw_samples
from tinyguard.graph import Graph, Node
from tinyguard.operators import resolve


def macs(graph: Graph) -> int:
    return sum(operator.macs for operator in resolve(graph))


def operators_of(graph: Graph) -> list[str]:
    return [node.operator for node in graph.nodes]


def node_of(graph: Graph, operator: str, which: int = 0) -> Node:
    return [node for node in graph.nodes if node.operator == operator][which]


def depth_of(graph: Graph, tensor: int) -> int:
    """How many channels a tensor has."""
    return graph.tensors[tensor].shape[-1]


def assert_same(before: Graph, after: Graph, samples: Sequence[np.ndarray] | None = None) -> None:
    """Inputs, outputs, names and file are the same, and every output byte on random and extreme samples."""
    assert (before.inputs, before.outputs, before.sha256) == (after.inputs, after.outputs, after.sha256)
    assert before.metadata == after.metadata
    names = [(t.index, t.name, t.dtype) for t in before.tensors]
    assert [(t.index, t.name, t.dtype) for t in after.tensors][: len(names)] == names
    assert [node.index for node in after.nodes] == list(range(len(after.nodes)))
    samples = draw_samples(before, np.random.default_rng(7), random=10) if samples is None else samples
    expected, got = (oracles.numpy_reference(graph, samples) for graph in (before, after))
    for index, x, y in zip(before.outputs, expected, got, strict=True):
        name = before.tensors[index].name
        assert (x.shape, x.dtype) == (y.shape, y.dtype), name
        assert np.array_equal(x, y), f"{int((x != y).sum())} of {x.size} codes of '{name}' differ"


def rewritten(graph: Graph, rewrite: Callable[[Graph], Graph]) -> Graph:
    """The graph after a pass that must find something, proved equal, and at rest when applied again."""
    result = rewrite(graph)
    assert result is not graph, "the pass found nothing"
    assert_same(graph, result)
    assert rewrite(result) is result, "the pass finds the same thing again"
    return result
