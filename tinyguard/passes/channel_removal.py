# SPDX-License-Identifier: Apache-2.0
"""Takes channels out of tensors, weights and constants, and what they held into biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinyguard.graph import Graph, Quantization, Tensor
from tinyguard.operators import Operator
from tinyguard.operators.concatenation import Concatenation
from tinyguard.operators.depthwise_conv_2d import DepthwiseConv2D
from tinyguard.operators.families.accumulating import Accumulating
from tinyguard.operators.families.elementwise import Elementwise
from tinyguard.operators.reshape import Reshape
from tinyguard.operators.transpose_conv import TransposeConv
from tinyguard.passes.draft import Draft
from tinyguard.passes.liveness import Liveness, Reading
from tinyguard.passes.ranges import Range, sum_range


def remove(graph: Graph, operators: Sequence[Operator], spans: dict[int, Range], live: Liveness) -> Graph:
    """The graph with the channels of `live.kept` alone."""
    draft = Draft(graph)
    for index in live.channels.start:
        tensor = graph.tensors[index]
        draft.set_shape(index, (*tensor.shape[:-1], int(_kept(live, tensor).sum())))
    for position, operator in enumerate(operators):
        if position in live.readings:
            _reread(draft, position, live.readings[position], spans, live)
        elif isinstance(operator, DepthwiseConv2D):
            _set_sums(
                draft, position, operator, operator.weights, operator.bias, _kept(live, operator.outputs[0])
            )
        elif isinstance(operator, Elementwise):
            _slice_operands(draft, position, operator, _kept(live, operator.outputs[0]))
        elif isinstance(operator, Concatenation):
            _slice_parts(draft, position, operator, _kept(live, operator.outputs[0]))
        shape = draft.tensors[operator.outputs[0].index].shape
        if isinstance(operator, Reshape) and shape != operator.outputs[0].shape:
            draft.make_reshape(position, operator.node.inputs[0])
        if isinstance(operator, TransposeConv):
            draft.set_constant(position, 0, np.array(shape, np.int32))
    return draft.graph()


def _kept(live: Liveness, tensor: Tensor) -> np.ndarray:
    """bool, one per channel; all of them for constants and scalars."""
    numbers = live.channels.numbers(tensor)
    return live.kept[numbers] if len(numbers) else np.ones(tensor.shape[-1:], bool)


def _reread(draft: Draft, position: int, reading: Reading, spans: dict[int, Range], live: Liveness) -> None:
    """Fold constant inputs into the bias, make constant outputs bias alone, and drop rows and columns."""
    operator = reading.operator
    source = operator.source
    weights = operator.weights.astype(np.int64, order="C")
    bias = operator.bias.copy()
    rows = weights.reshape(len(weights), -1, weights.shape[-1])  # a view: (output, tap, column)
    if reading.fixed.any():
        ends = sum_range(operator, [spans.get(index) for index in operator.node.inputs])
        lowest = ends[0].reshape(-1, len(bias))[0]
        varying = reading.fixed & rows.any(axis=(1, 2))
        bias[varying] = lowest[varying]
        rows[reading.fixed] = 0
    rows[~live.needed[reading.outputs]] = 0
    kept_columns = np.ones(len(reading.columns), bool)
    if not source.is_constant:
        kept_columns = live.kept[reading.columns]
        unread = ~live.needed[reading.columns]
        folded = unread & reading.foldable
        bias += rows[:, :, folded].sum(axis=1) @ (reading.codes[folded] - source.zero_point)
        rows[:, :, folded] = 0
        assert not rows[:, :, unread].any(), "a channel that is read"
    narrow = weights[..., kept_columns].astype(np.int8)
    _set_sums(draft, position, operator, narrow, bias, live.kept[reading.outputs])


def _set_sums(
    draft: Draft,
    position: int,
    operator: Accumulating,
    weights: np.ndarray,
    bias: np.ndarray,
    kept: np.ndarray,
) -> None:
    """New weights and bias for a node, with the `kept` output channels of both; scales alike."""
    axis = 3 if isinstance(operator, DepthwiseConv2D) else 0
    slots = (1, 3) if isinstance(operator, TransposeConv) else (1, 2)
    tensor = operator.input_tensor(1)
    assert tensor.quantization is not None
    weights = np.ascontiguousarray(np.compress(kept, weights, axis=axis))
    if not np.array_equal(weights, operator.weights):
        draft.set_constant(position, slots[0], weights, _slice_scales(tensor.quantization, kept))
    old = operator.inputs[slots[1]] if slots[1] < len(operator.inputs) else None
    bias = bias[kept]
    if np.array_equal(bias, operator.bias) or (old is None and not bias.any()):
        return
    dtype = np.int64 if operator.wide else np.int32
    quantization = old.quantization if old is not None else None
    draft.set_constant(
        position, slots[1], bias.astype(dtype), _slice_scales(quantization, kept) if quantization else None
    )


def _slice_scales(quantization: Quantization, kept: np.ndarray) -> Quantization:
    if len(quantization.scales) != len(kept):
        return quantization
    pairs = zip(quantization.scales, quantization.zero_points, kept, strict=True)
    left = [(scale, zero_point) for scale, zero_point, stays in pairs if stays]
    return replace(
        quantization, scales=tuple(scale for scale, _ in left), zero_points=tuple(zero for _, zero in left)
    )


def _slice_operands(draft: Draft, position: int, operator: Elementwise, kept: np.ndarray) -> None:
    for slot, tensor in enumerate(operator.inputs[:2]):
        constant = tensor.data if tensor is not None else None
        if constant is not None and constant.shape[-1:] == kept.shape and not kept.all():
            draft.set_constant(position, slot, np.ascontiguousarray(constant[..., kept]))


def _slice_parts(draft: Draft, position: int, operator: Concatenation, kept: np.ndarray) -> None:
    """Constant parts along the last axis; one that nothing is left of is no longer an input."""
    if operator.axis != len(operator.outputs[0].shape):
        return
    start = 0
    gone = []
    for slot, tensor in enumerate(operator.inputs):
        assert tensor is not None
        part = kept[start : start + tensor.shape[-1]]
        start += tensor.shape[-1]
        if tensor.data is not None and not part.any():
            gone.append(slot)
        elif tensor.data is not None and not part.all():
            draft.set_constant(position, slot, np.ascontiguousarray(tensor.data[..., part]))
    node = draft.nodes[position]
    assert node is not None
    draft.change(position, inputs=tuple(i for slot, i in enumerate(node.inputs) if slot not in gone))
