# SPDX-License-Identifier: Apache-2.0
"""Folds a clamp that stands alone into the clamp of the layer before it.

RELU, RELU6 and their like between tensors of one quantization, and MAXIMUM or MINIMUM with one
constant, are clip(codes, low, high). After another clip they make one clip again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyguard.graph import Graph
from tinyguard.operators import Operator, resolve
from tinyguard.operators.add import Add
from tinyguard.operators.base import CODE_RANGE
from tinyguard.operators.families.accumulating import Accumulating
from tinyguard.operators.families.unary import Unary
from tinyguard.operators.maximum_minimum import MaximumMinimum
from tinyguard.operators.mul import Mul
from tinyguard.operators.pool_2d import Pool2D
from tinyguard.passes.draft import Draft, same_quantization

_CLAMPING = (Accumulating, Add, Mul, Pool2D)


@dataclass(frozen=True)
class Clip:
    """clip(codes, low, high) of input `slot`."""

    slot: int
    low: int
    high: int


def fold_activations(graph: Graph) -> Graph:
    """The graph with lone clamps taken by the layers before them."""
    folded = _fold_one(graph)
    while folded is not None:
        graph, folded = folded, _fold_one(folded)
    return graph


def _fold_one(graph: Graph) -> Graph | None:
    operators = resolve(graph)
    draft = Draft(graph)
    for position, operator in enumerate(operators):
        clip = as_clip(operator)
        source = operator.node.inputs[clip.slot] if clip else -1
        writer = draft.producer(source)
        if clip is None or writer is None or source in graph.outputs or len(draft.readers(source)) > 1:
            continue
        before = operators[writer]
        if isinstance(before, _CLAMPING):
            low, high = (int(np.clip(end, clip.low, clip.high)) for end in (before.low, before.high))
            options = {"clamp_low": low, "clamp_high": high}
            draft.change(writer, outputs=operator.node.outputs, options=options)
            draft.remove(position)
            return draft.graph()
    return None


def as_clip(operator: Operator) -> Clip | None:
    """The operator as a clip of codes that keep their meaning, None where it is another function."""
    output = operator.outputs[0]
    if output.dtype not in ("int8", "int16"):
        return None
    least, greatest = CODE_RANGE[output.dtype]
    if isinstance(operator, Unary) and same_quantization(operator.input_tensor(0), output):
        codes = np.arange(least, greatest + 1).astype(output.dtype)
        (results,) = operator.run(codes)
        low, high = int(results.min()), int(results.max())
        return Clip(0, low, high) if np.array_equal(results, np.clip(codes, low, high)) else None
    if isinstance(operator, MaximumMinimum):
        for slot in (0, 1):
            bound, source = operator.input_tensor(1 - slot).data, operator.input_tensor(slot)
            if bound is not None and bound.size == 1 and source.shape == output.shape:
                code = int(bound.reshape(-1)[0])
                return Clip(slot, code, greatest) if operator.largest else Clip(slot, least, code)
    return None
