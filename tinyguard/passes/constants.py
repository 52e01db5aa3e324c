# SPDX-License-Identifier: Apache-2.0
"""Computes at generation what does not depend on the input."""

from __future__ import annotations

import numpy as np

from tinyguard.graph import Graph
from tinyguard.operators import Operator, resolve
from tinyguard.passes.draft import Draft
from tinyguard.passes.ranges import Range, ranges


def fold_constants(graph: Graph) -> Graph:
    """The graph with constants for the outputs of nodes that read constants alone.

    So too for tensors that hold the same codes whatever the inputs, where that takes no more flash
    than the node's own constants did. The graph's own outputs stay computed, from the inputs where
    they were.
    """
    operators = resolve(graph)
    spans = ranges(graph, operators)
    values: dict[int, np.ndarray] = {}
    for operator in operators:
        outputs = operator.node.outputs
        results = _computed(operator, values) or _one_code(operator, spans)
        if results is not None and not any(index in graph.outputs for index in outputs):
            values.update(zip(outputs, results, strict=True))
    for node in reversed(graph.nodes):
        computed = [i for i in node.inputs if i >= 0 and not graph.tensors[i].is_constant]
        if node.outputs[0] not in values and all(index in values for index in computed):
            for index in computed:
                _forget(graph, index, values)
    return _with(graph, values) if values else graph


def _forget(graph: Graph, tensor: int, values: dict[int, np.ndarray]) -> None:
    """Leave a tensor computed, with all outputs of its node."""
    node = graph.producer(tensor)
    assert node is not None
    for index in node.outputs:
        values.pop(index, None)


def _with(graph: Graph, values: dict[int, np.ndarray]) -> Graph:
    draft = Draft(graph)
    for index, value in values.items():
        draft.make_constant(index, value[0])
    for position, node in enumerate(graph.nodes):
        if node.outputs[0] in values:
            draft.remove(position)
    return draft.graph()


def _computed(operator: Operator, values: dict[int, np.ndarray]) -> tuple[np.ndarray, ...] | None:
    """The outputs of an operator on constants alone."""
    arrays: list[np.ndarray | None] = []
    for tensor in operator.inputs:
        if tensor is None:
            arrays.append(None)
        elif tensor.index in values or tensor.data is not None:
            arrays.append(values[tensor.index] if tensor.data is None else tensor.data[None])
        else:
            return None
    return operator.run(*arrays) if arrays else None


def _one_code(operator: Operator, spans: dict[int, Range]) -> tuple[np.ndarray, ...] | None:
    """The outputs of an operator whose every element has one possible code."""
    ends = [spans.get(tensor.index) for tensor in operator.outputs]
    if any(end is None or not end.fixed.all() for end in ends):
        return None
    held = sum(t.size_bytes for t in operator.inputs if t is not None and t.is_constant)
    if sum(tensor.size_bytes for tensor in operator.outputs) > held:
        return None
    return tuple(end.low for end in ends if end is not None)
