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
    than the node's own constants did.
    """
    operators = resolve(graph)
    found = ranges(graph, operators)
    draft = Draft(graph)
    values: dict[int, np.ndarray] = {}
    for position, operator in enumerate(operators):
        outputs = operator.node.outputs
        if any(index in graph.outputs for index in outputs):
            continue
        results = _computed(operator, values) or _settled(operator, found)
        if results is None:
            continue
        for index, result in zip(outputs, results, strict=True):
            values[index] = result
            draft.make_constant(index, result[0])
        draft.remove(position)
    return draft.graph() if values else graph


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


def _settled(operator: Operator, found: dict[int, Range]) -> tuple[np.ndarray, ...] | None:
    """The outputs of an operator whose every element has one possible code."""
    ends = [found.get(tensor.index) for tensor in operator.outputs]
    if any(end is None or not end.fixed.all() for end in ends):
        return None
    held = sum(t.size_bytes for t in operator.inputs if t is not None and t.is_constant)
    if sum(tensor.size_bytes for tensor in operator.outputs) > held:
        return None
    return tuple(end.low for end in ends if end is not None)
