# SPDX-License-Identifier: Apache-2.0
"""Folds a PAD into the convolutions or pooling that read it, as padding of their own.

Convolutions pad with their input's zero point, so that is what the PAD must have filled with. Max
pooling pads with nothing at all: that is the same where no code lies below the filling.
"""

from __future__ import annotations

from tinyguard.graph import Graph
from tinyguard.operators import Operator, resolve
from tinyguard.operators.conv_2d import Conv2D
from tinyguard.operators.depthwise_conv_2d import DepthwiseConv2D
from tinyguard.operators.families.window import Axis
from tinyguard.operators.pad import Pad
from tinyguard.operators.pool_2d import MaxPool2D
from tinyguard.passes.draft import Draft, same_quantization
from tinyguard.passes.ranges import Range, ranges


def fold_padding(graph: Graph) -> Graph:
    """The graph without the PADs of rows and columns that all their readers can take."""
    operators = resolve(graph)
    spans = ranges(graph, operators)
    draft = Draft(graph)
    changed = False
    for position, operator in enumerate(operators):
        if not isinstance(operator, Pad) or not _pads_images(operator):
            continue
        padded = operator.outputs[0].index
        readers = [k for k, node in enumerate(graph.nodes) if padded in node.inputs]
        takers = [operators[k] for k in readers]
        if not readers or padded in graph.outputs or not all(_takes(t, operator, spans) for t in takers):
            continue
        for reader, taker in zip(readers, takers, strict=True):
            draft.read_instead(padded, operator.node.inputs[0])
            assert isinstance(taker, Conv2D | DepthwiseConv2D | MaxPool2D)
            rows, columns = (
                _without(axis, *widths)
                for axis, widths in zip((taker.rows, taker.columns), operator.widths[1:3], strict=True)
            )
            draft.change(reader, options=explicit(rows, columns))
        draft.remove(position)
        changed = True
    return draft.graph() if changed else graph


def explicit(rows: Axis, columns: Axis) -> dict[str, object]:
    """The options that make a window operator pad as its axes say; below 0 the last windows end early."""
    options: dict[str, object] = {"padding": "EXPLICIT"}
    for axis, before, after in ((rows, "top", "bottom"), (columns, "left", "right")):
        reach = (axis.output - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1
        options[f"pad_{before}"] = axis.before
        options[f"pad_{after}"] = reach - axis.before - axis.input
    return options


def _without(axis: Axis, before: int, after: int) -> Axis:
    """The same windows over the input as it was before the PAD."""
    size = axis.input - before - after
    return Axis(size, axis.kernel, axis.stride, axis.dilation, axis.output, axis.before + before)


def _pads_images(operator: Pad) -> bool:
    ranks = len(operator.widths) == 4 and not any(operator.widths[0]) and not any(operator.widths[3])
    return ranks and same_quantization(operator.input_tensor(0), operator.outputs[0])


def _takes(taker: Operator, operator: Pad, spans: dict[int, Range]) -> bool:
    """Whether the taker's own padding can stand for the PAD; every window must still see the input."""
    if not isinstance(taker, Conv2D | DepthwiseConv2D | MaxPool2D):
        return False
    for axis, (before, after) in zip((taker.rows, taker.columns), operator.widths[1:3], strict=True):
        unpadded = _without(axis, before, after)
        reach = (axis.kernel - 1) * axis.dilation
        if unpadded.inside().min() < 1 or max(unpadded.before, unpadded.after) > reach:
            return False
    source = operator.input_tensor(0)
    if isinstance(taker, MaxPool2D):
        return int(spans[source.index].low.min()) >= operator.fill
    return operator.fill == source.zero_point
