# SPDX-License-Identifier: Apache-2.0
"""The codes that every element of every activation can take, whatever the inputs: interval arithmetic.

Each rule takes the lowest and highest codes through the operator's own exact arithmetic, so that an
element whose two ends are equal is a constant, and its value is exactly what the device computes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyguard.graph import Graph, Tensor
from tinyguard.operators import Operator
from tinyguard.operators.add import Add
from tinyguard.operators.base import CODE_RANGE
from tinyguard.operators.families.accumulating import Accumulating
from tinyguard.operators.families.elementwise import Elementwise
from tinyguard.operators.families.moving import Moving
from tinyguard.operators.families.unary import Unary
from tinyguard.operators.maximum_minimum import MaximumMinimum
from tinyguard.operators.mean import Mean
from tinyguard.operators.mul import Mul
from tinyguard.operators.pool_2d import Pool2D
from tinyguard.operators.reduce_max import ReduceMax
from tinyguard.operators.resize import ResizeNearestNeighbor

_MONOTONE = (Add, MaximumMinimum, Mean, Moving, Pool2D, ReduceMax, ResizeNearestNeighbor)


@dataclass(frozen=True)
class Range:
    """Lowest and highest code of each element, both (1, *tensor.shape) in the tensor's dtype."""

    low: np.ndarray
    high: np.ndarray

    @property
    def fixed(self) -> np.ndarray:
        """Where the element is a constant; its value is `low`."""
        return np.asarray(self.low == self.high)

    def channels(self) -> tuple[np.ndarray, np.ndarray]:
        """Which indices of the last axis hold one and the same code everywhere, and that code (int64)."""
        low = self.low.reshape(-1, self.low.shape[-1]).astype(np.int64)
        high = self.high.reshape(low.shape)
        return np.asarray(((low == low[0]) & (high == low[0])).all(axis=0)), low[0]


def ranges(graph: Graph, operators: Sequence[Operator]) -> dict[int, Range]:
    """The range of every tensor of int8 or int16 codes; constants included."""
    spans: dict[int, Range] = {}
    for tensor in graph.tensors:
        if tensor.data is not None and tensor.dtype in ("int8", "int16"):
            spans[tensor.index] = Range(tensor.data[None], tensor.data[None])
    for index in graph.inputs:
        if graph.tensors[index].dtype in ("int8", "int16"):
            spans[index] = _whole(graph.tensors[index], CODE_RANGE[graph.tensors[index].dtype])
    for operator in operators:
        results = output_ranges(operator, [spans.get(index) for index in operator.node.inputs])
        for tensor, result in zip(operator.outputs, results, strict=True):
            if result is not None:
                spans[tensor.index] = result
    return spans


def output_ranges(operator: Operator, inputs: Sequence[Range | None]) -> list[Range | None]:
    """The ranges of an operator's outputs from those of its inputs, None for other than int8 and int16."""
    if any(tensor.dtype not in ("int8", "int16") for tensor in operator.outputs):
        return [None] * len(operator.outputs)
    activations = [
        (k, t) for k, t in enumerate(operator.inputs) if t is not None and t.dtype in ("int8", "int16")
    ]
    whole = [_whole(tensor, operator.clamp) for tensor in operator.outputs]
    if not activations or any(inputs[k] is None for k, _ in activations):
        return list(whole)
    if isinstance(operator, Accumulating):
        low, high = sum_range(operator, inputs)
        return [Range(_requantized(operator, low), _requantized(operator, high))]
    if isinstance(operator, Unary) and operator.input_tensor(0).dtype == "int8":
        return [_looked_up(operator.table, _present(inputs[0]))]
    if isinstance(operator, _MONOTONE):
        return list(_monotone(operator, inputs))
    if isinstance(operator, Mul):
        corners = [_run(operator, inputs, ends)[0] for ends in itertools.product((0, 1), repeat=2)]
        return [Range(np.minimum.reduce(corners), np.maximum.reduce(corners))]
    if isinstance(operator, Elementwise | Unary):
        return [_where_fixed(operator, inputs, whole[0])]
    if all(bool(_present(inputs[k]).fixed.all()) for k, _ in activations):
        return list(_monotone(operator, inputs))
    return list(whole)


def sum_range(operator: Accumulating, inputs: Sequence[Range | None]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest accumulator of each output element, bias included, int64 (1, *output shape)."""
    source, zero_point = _present(inputs[operator.source_index]), operator.source.zero_point
    low, high = (_codes(operator, ends).astype(np.float64) for ends in (source.low, source.high))
    weights = operator.weights.astype(np.float64)
    middle = operator.sums((low + high) / 2, weights)
    reach = operator.sums((high - low) / 2 + zero_point, np.abs(weights))
    least, most = (
        np.asarray(sums.astype(np.int64) + operator.bias).reshape(1, *operator.outputs[0].shape)
        for sums in (middle - reach, middle + reach)
    )
    return least, most


def _codes(operator: Accumulating, ends: np.ndarray) -> np.ndarray:
    """(1, *source.shape) as `sums` takes them."""
    return ends.reshape(-1, *operator.source.shape[1:])


def _requantized(operator: Accumulating, accumulators: np.ndarray) -> np.ndarray:
    return operator.requantize(accumulators - operator.bias)


def _whole(tensor: Tensor, ends: tuple[int, int]) -> Range:
    low, high = CODE_RANGE[tensor.dtype]
    shape = (1, *tensor.shape)
    return Range(
        np.full(shape, max(low, ends[0]), tensor.dtype), np.full(shape, min(high, ends[1]), tensor.dtype)
    )


def _present(span: Range | None) -> Range:
    assert span is not None
    return span


def _run(operator: Operator, inputs: Sequence[Range | None], ends: Sequence[int]) -> tuple[np.ndarray, ...]:
    """The outputs with input k at its lowest (ends[k] is 0) or highest code; other constants as they are."""
    arrays: list[np.ndarray | None] = []
    for k, (tensor, span) in enumerate(zip(operator.inputs, inputs, strict=True)):
        if span is not None:
            arrays.append(span.high if k < len(ends) and ends[k] else span.low)
        else:
            arrays.append(tensor.data[None] if tensor is not None and tensor.data is not None else None)
    return operator.run(*arrays)


def _monotone(operator: Operator, inputs: Sequence[Range | None]) -> list[Range]:
    falls = (0, 1) if operator.node.operator == "SUB" else (0,) * len(inputs)
    rises = tuple(1 - end for end in falls)
    pairs = zip(_run(operator, inputs, falls), _run(operator, inputs, rises), strict=True)
    return [Range(low, high) for low, high in pairs]


def _looked_up(table: np.ndarray, source: Range) -> Range:
    """The least and greatest entry of `table`, indexed by uint8 codes, over each range of codes."""
    by_code = np.roll(table, 128)  # from code -128 on
    places = np.arange(256)
    lowest, highest = np.empty((256, 256), table.dtype), np.empty((256, 256), table.dtype)
    for start in places:
        lowest[start, start:] = np.minimum.accumulate(by_code[start:])
        highest[start, start:] = np.maximum.accumulate(by_code[start:])
    at = source.low.astype(np.int64) + 128, source.high.astype(np.int64) + 128
    return Range(lowest[at], highest[at])


def _where_fixed(operator: Operator, inputs: Sequence[Range | None], whole: Range) -> Range:
    """Element by element: exact where every operand is a constant, anything elsewhere."""
    result = _run(operator, inputs, ())[0]
    fixed = np.ones(result.shape, bool)
    rank = len(operator.outputs[0].shape)
    for tensor, span in zip(operator.inputs, inputs, strict=True):
        if tensor is not None and span is not None:
            shape = (1,) * (rank - len(tensor.shape)) + tensor.shape
            fixed &= span.fixed.reshape(1, *shape)
    return Range(np.where(fixed, result, whole.low), np.where(fixed, result, whole.high))
