# SPDX-License-Identifier: Apache-2.0
"""Removes what does nothing: nodes whose output is their input's bytes, and reshapes of reshapes.

A node that only gives the bytes another shape (a TRANSPOSE of axes of size 1, a STRIDED_SLICE of
everything, a CONCATENATION of one) becomes a RESHAPE, which takes no code and no memory.
"""

from __future__ import annotations

import numpy as np

from tinyguard.graph import Graph
from tinyguard.operators import Operator, resolve
from tinyguard.operators.families.moving import Moving
from tinyguard.operators.families.unary import Unary
from tinyguard.operators.pad import Pad
from tinyguard.operators.pool_2d import Pool2D
from tinyguard.operators.resize import ResizeNearestNeighbor
from tinyguard.passes.draft import Draft, same_quantization
from tinyguard.passes.ranges import Range, ranges


def remove_identities(graph: Graph) -> Graph:
    """The graph without nodes that copy, and with those that reshape as RESHAPE."""
    draft = Draft(graph)
    operators = resolve(graph)
    spans = ranges(graph, operators)
    changed = False
    for position, operator in enumerate(operators):
        slot = copied_input(operator, spans)
        if slot is None or operator.input_tensor(slot).is_constant:
            continue
        current = draft.nodes[position]
        assert current is not None
        source, output = draft.tensors[current.inputs[slot]], operator.outputs[0]
        if source.shape == output.shape and same_quantization(source, output):
            changed |= _drop(draft, position, source.index)
        elif operator.node.operator != "RESHAPE":
            draft.make_reshape(position, source.index)
            changed = True
    return draft.graph() if changed else graph


def collapse_reshapes(graph: Graph) -> Graph:
    """The graph with every reshape of a reshape reading the first one's input."""
    draft = Draft(graph)
    views = {o.outputs[0].index: o.node.inputs[0] for o in resolve(graph) if o.is_view}
    changed = False
    for position, operator in enumerate(resolve(graph)):
        if operator.is_view and (source := operator.node.inputs[0]) in views:
            while source in views:
                source = views[source]
            draft.make_reshape(position, source)
            changed = True
    return draft.graph() if changed else graph


def copied_input(operator: Operator, spans: dict[int, Range]) -> int | None:
    """The input whose bytes output 0 holds, in order; None when there is none or there are more outputs."""
    if len(operator.outputs) > 1:
        return None
    if operator.is_view:
        return 0
    source, output = operator.input_tensor(0), operator.outputs[0]
    if isinstance(operator, Pad):
        return None if any(map(any, operator.widths)) else 0
    if isinstance(operator, Moving):
        return _moved(operator)
    if source.shape != output.shape or not same_quantization(source, output):
        return None
    if isinstance(operator, Unary):
        return 0 if _changes_nothing(operator, spans) else None
    if isinstance(operator, Pool2D):
        code = spans[source.index]
        within = operator.low <= code.low.min() and code.high.max() <= operator.high
        return 0 if within and operator.rows.kernel == operator.columns.kernel == 1 else None
    if isinstance(operator, ResizeNearestNeighbor):
        axes = zip((operator.rows, operator.columns), source.shape[1:3], strict=True)
        return 0 if all(np.array_equal(index, np.arange(size)) for index, size in axes) else None
    return None


def _moved(operator: Moving) -> int | None:
    if len(operator.moves) != 1:
        return None
    move = operator.moves[0]
    source, output = operator.input_tensor(move.source), operator.outputs[0]
    if source.elements != output.elements:
        return None
    places = np.full((1, *output.shape), -1, np.int64)
    move.put(places)[...] = move.take(np.arange(source.elements).reshape(1, *source.shape))
    return move.source if np.array_equal(places.reshape(-1), np.arange(source.elements)) else None


def _changes_nothing(operator: Unary, spans: dict[int, Range]) -> bool:
    """Whether the function is the identity on every code that the input can take."""
    code = spans.get(operator.input_tensor(0).index)
    if code is None or operator.input_tensor(0).dtype != operator.outputs[0].dtype:
        return False
    codes = np.arange(int(code.low.min()), int(code.high.max()) + 1).astype(code.low.dtype)
    return np.array_equal(operator.run(codes)[0], codes)


def _drop(draft: Draft, position: int, source: int) -> bool:
    """Remove a node that copies `source`; False where both its ends are the graph's own."""
    node = draft.nodes[position]
    assert node is not None
    output = node.outputs[0]
    if output in draft.origin.outputs:
        writer = draft.producer(source)
        if writer is None or source in draft.origin.outputs:
            return False
        before = draft.nodes[writer]
        assert before is not None
        draft.remove(position)
        draft.change(writer, outputs=tuple(output if i == source else i for i in before.outputs))
        draft.read_instead(source, output)
    else:
        draft.remove(position)
        draft.read_instead(output, source)
    return True
