# SPDX-License-Identifier: Apache-2.0
"""Which channels can only be removed together: a channel is an index of a tensor's last axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyguard.graph import Graph, Tensor
from tinyguard.operators import Operator
from tinyguard.operators.concatenation import Concatenation, Pack
from tinyguard.operators.conv_2d import Conv2D
from tinyguard.operators.depthwise_conv_2d import DepthwiseConv2D
from tinyguard.operators.dequantize import Dequantize
from tinyguard.operators.families.accumulating import Accumulating
from tinyguard.operators.families.elementwise import Elementwise
from tinyguard.operators.families.moving import MOVABLE
from tinyguard.operators.families.unary import Unary
from tinyguard.operators.fully_connected import FullyConnected
from tinyguard.operators.mean import Mean
from tinyguard.operators.pad import Pad
from tinyguard.operators.pool_2d import Pool2D
from tinyguard.operators.reduce_max import ReduceMax
from tinyguard.operators.reshape import Reshape
from tinyguard.operators.resize import Resize
from tinyguard.operators.split import Split, SplitV, Unpack
from tinyguard.operators.transpose import Transpose

Couple = tuple[np.ndarray, np.ndarray]  # channel a[i] goes with channel b[i], by their numbers


@dataclass(frozen=True)
class Channels:
    """All channels of the activations of a graph, numbered: tensor `t` has those from `start[t]` on."""

    start: dict[int, int]
    count: int

    @classmethod
    def of(cls, graph: Graph) -> Channels:
        start, count = {}, 0
        for index in [*graph.inputs, *(i for node in graph.nodes for i in node.outputs)]:
            if graph.tensors[index].shape and index not in start:
                start[index] = count
                count += graph.tensors[index].shape[-1]
        return cls(start, count)

    def numbers(self, tensor: Tensor) -> np.ndarray:
        """The numbers of a tensor's channels, in order; none for constants and scalars."""
        if tensor.index not in self.start:
            return np.empty(0, np.int64)
        return self.start[tensor.index] + np.arange(tensor.shape[-1])


def couples(operator: Operator, channels: Channels) -> list[Couple] | None:
    """What an operator ties together; None when it keeps every channel that it reads and writes.

    Convolutions and fully connected layers tie nothing: they read what their weights are not zero for.
    """
    if isinstance(operator, DepthwiseConv2D):
        source = np.repeat(channels.numbers(operator.input_tensor(0)), operator.multiplier)
        return [(source, channels.numbers(operator.outputs[0]))] if len(source) else None
    if isinstance(operator, FullyConnected):
        shape = operator.input_tensor(0).shape
        return [] if shape and operator.depth % shape[-1] == 0 else None
    if isinstance(operator, Accumulating):
        return None if isinstance(operator, Conv2D) and operator.groups > 1 else []
    if isinstance(operator, Elementwise):
        return _elementwise(operator, channels)
    if isinstance(operator, Concatenation):
        return _concatenation(operator, channels)
    if isinstance(operator, Reshape):
        return _reshape(operator, channels)
    return _alike(operator, channels) if _last_axis_stays(operator) else None


def _alike(operator: Operator, channels: Channels) -> list[Couple]:
    """Channel i of every activation goes with channel i of the first output."""
    first = channels.numbers(operator.outputs[0])
    tensors = [*(t for t in operator.inputs if t is not None), *operator.outputs[1:]]
    return [(n, first) for n in map(channels.numbers, tensors) if len(n) == len(first)]


def _last_axis_stays(operator: Operator) -> bool:
    """Whether channel i of the outputs comes from channel i of the inputs alone, and has its place."""
    output = operator.outputs[0]
    activations = [t for t in operator.inputs if t is not None and not t.is_constant]
    if not output.shape or any(t.shape[-1:] != output.shape[-1:] for t in activations):
        return False
    if any(t and t.is_constant and t.dtype in MOVABLE and t.elements > 1 for t in operator.inputs):
        return False
    if isinstance(operator, Unary | Dequantize | Pool2D | Resize):
        return True
    if isinstance(operator, Pad):
        return not any(operator.widths[-1])
    if isinstance(operator, Mean | ReduceMax):
        return len(operator.input_tensor(0).shape) - 1 not in operator.reduction.axes
    if isinstance(operator, Transpose):
        return operator.axes[-1] == len(output.shape)
    if isinstance(operator, Split | SplitV):  # a part shorter than the whole along another axis
        source = operator.input_tensor(operator.source_index)
        return source.shape[:-1] != output.shape[:-1]
    if isinstance(operator, Pack | Unpack):
        longer = output if isinstance(operator, Pack) else operator.input_tensor(0)
        return operator.option("axis", 0) % len(longer.shape) != len(longer.shape) - 1
    return False


def _elementwise(operator: Elementwise, channels: Channels) -> list[Couple] | None:
    """Operands of one channel that is broadcast keep it; constants follow the output."""
    output = operator.outputs[0]
    if not output.shape:
        return None
    couples: list[Couple] = []
    for tensor in (operator.input_tensor(0), operator.input_tensor(1)):
        numbers = channels.numbers(tensor)
        if len(numbers) == output.shape[-1]:
            couples.append((numbers, channels.numbers(output)))
        elif len(numbers):
            couples.append((numbers, numbers[:1]))
    return couples


def _concatenation(operator: Concatenation, channels: Channels) -> list[Couple] | None:
    output = channels.numbers(operator.outputs[0])
    if operator.axis != len(operator.outputs[0].shape):
        return _alike(operator, channels) if not any(t and t.is_constant for t in operator.inputs) else None
    couples, start = [], 0
    for tensor in operator.inputs:
        assert tensor is not None
        if not tensor.is_constant:
            couples.append((channels.numbers(tensor), output[start : start + tensor.shape[-1]]))
        start += tensor.shape[-1]
    return couples


def _reshape(operator: Operator, channels: Channels) -> list[Couple] | None:
    """The last axes of one array, one a multiple of the other: indices that agree modulo the shorter."""
    source, output = channels.numbers(operator.input_tensor(0)), channels.numbers(operator.outputs[0])
    if not len(source) or not len(output) or max(len(source), len(output)) % min(len(source), len(output)):
        return None
    longer, shorter = (source, output) if len(source) > len(output) else (output, source)
    return [(longer, np.resize(shorter, len(longer)))]


def needed_anyway(graph: Graph, operators: Sequence[Operator], channels: Channels) -> np.ndarray:
    """bool (channels.count,): what inputs, outputs and operators that tie everything keep."""
    needed = np.zeros(channels.count, bool)
    tensors = [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]
    for operator in operators:
        if couples(operator, channels) is None:
            tensors += [t for t in (*operator.inputs, *operator.outputs) if t is not None]
    for tensor in tensors:
        needed[channels.numbers(tensor)] = True
    return needed
