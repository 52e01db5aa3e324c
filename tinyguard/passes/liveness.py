# SPDX-License-Identifier: Apache-2.0
"""Which channels matter: backwards from the outputs, through what each layer's weights really read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyguard.graph import Graph
from tinyguard.operators import Operator
from tinyguard.operators.conv_2d import Conv2D
from tinyguard.operators.depthwise_conv_2d import DepthwiseConv2D
from tinyguard.operators.families.accumulating import Accumulating
from tinyguard.operators.fully_connected import FullyConnected
from tinyguard.passes.channel_links import Channels, Couple, couples, needed_anyway
from tinyguard.passes.ranges import Range


@dataclass(frozen=True)
class Reading:
    """What a convolution or fully connected layer makes of its input's channels.

    `columns`: number of the channel under each index of the weights' last axis; `outputs`: those that
    it writes; `reads` (outputs, columns): whether any weight is not zero; `foldable`: the channel is a
    constant, `codes`, that the bias can take; `fixed`: outputs that are constants.
    """

    operator: Accumulating
    columns: np.ndarray
    outputs: np.ndarray
    reads: np.ndarray
    foldable: np.ndarray
    codes: np.ndarray
    fixed: np.ndarray


@dataclass(frozen=True)
class Liveness:
    """`needed` channels hold values that are read; `kept` are these and those that only fill a tensor up.

    Both are bool (channels.count,). `readings` are by position of the node.
    """

    channels: Channels
    readings: dict[int, Reading]
    needed: np.ndarray
    kept: np.ndarray


def liveness(
    graph: Graph, operators: Sequence[Operator], spans: dict[int, Range], multiple: int = 1
) -> Liveness:
    """What stays; layers keep dead channels up to a multiple of `multiple` where they have them."""
    channels = Channels.of(graph)
    ties = [couple for operator in operators for couple in couples(operator, channels) or ()]
    readings = {
        position: _reading(operator, channels, spans)
        for position, operator in enumerate(operators)
        if isinstance(operator, Accumulating)
        and not isinstance(operator, DepthwiseConv2D)
        and couples(operator, channels) is not None
    }
    needed = needed_anyway(graph, operators, channels)
    count = -1
    while count != (count := int(needed.sum())):
        _spread(needed, ties)
        for reading in reversed(readings.values()):
            live = needed[reading.outputs] & ~reading.fixed
            needed[reading.columns[reading.reads[live].any(axis=0) & ~reading.foldable]] = True
    kept = needed.copy()
    for tensor in channels.start:
        _fill(kept, channels.numbers(graph.tensors[tensor]), 1, ties)
    for operator in operators:
        if isinstance(operator, Accumulating):
            numbers = channels.numbers(operator.outputs[0])
            _fill(kept, numbers, _least(operator, int(kept[numbers].sum()), multiple), ties)
    return Liveness(channels, readings, needed, kept)


def _reading(operator: Accumulating, channels: Channels, spans: dict[int, Range]) -> Reading:
    slot = operator.source_index
    source = operator.input_tensor(slot)
    depth = operator.weights.shape[-1]
    reads = operator.weights.reshape(len(operator.weights), -1, depth).any(axis=1)
    fixed, codes = spans[source.index].channels()
    numbers = channels.numbers(source)
    times = depth // source.shape[-1]  # above 1 where a fully connected layer flattens its input
    fixed, codes = np.tile(fixed, times), np.tile(codes, times)
    if len(numbers):
        foldable = fixed if _sees_no_padding(operator) else fixed & (codes == source.zero_point)
    else:
        foldable = np.zeros(depth, bool)
    fixed_outputs = spans[operator.outputs[0].index].channels()[0]
    outputs = channels.numbers(operator.outputs[0])
    columns = np.tile(numbers, times) if len(numbers) else np.zeros(depth, np.int64)
    if not len(numbers):  # a constant input: nothing to demand of anyone
        reads = np.zeros_like(reads)
    return Reading(operator, columns, outputs, reads, foldable, codes, fixed_outputs)


def _sees_no_padding(operator: Accumulating) -> bool:
    """Whether every tap of every window falls on the input, so that a constant adds the same everywhere."""
    if isinstance(operator, FullyConnected):
        return True
    if not isinstance(operator, Conv2D):
        return False
    return not any((axis.before, axis.after) != (0, 0) for axis in (operator.rows, operator.columns))


def _spread(mask: np.ndarray, ties: Sequence[Couple]) -> None:
    """Extend a mask of channels to all that are tied to them."""
    count = -1
    while count != (count := int(mask.sum())):
        for a, b in (*ties, *reversed(ties)):
            np.logical_or.at(mask, a, mask[b])
            np.logical_or.at(mask, b, mask[a])


def _least(operator: Accumulating, count: int, multiple: int) -> int:
    """The fewest channels that a layer may be left with, above `count` by less than `multiple`."""
    quantization = operator.input_tensor(1).quantization
    if isinstance(operator, FullyConnected) and quantization is not None and quantization.per_channel:
        count = max(count, 2)  # with one scale TFLite's multipliers are rounded otherwise
    return -(-count // multiple) * multiple


def _fill(kept: np.ndarray, numbers: np.ndarray, least: int, ties: Sequence[Couple]) -> None:
    """Keep the first channels that are not kept, with what is tied to them, until there are `least`."""
    for number in numbers:
        if int(kept[numbers].sum()) >= least:
            return
        if not kept[number]:
            kept[number] = True
            _spread(kept, ties)
