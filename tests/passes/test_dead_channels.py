# SPDX-License-Identifier: Apache-2.0
"""Channels that do not matter go, whatever lies between them and who would read them; the others stay."""

from functools import partial

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder
from tests.passes.layers import SCALE, convolution, dense, depthwise, weights
from tests.passes.proof import assert_same, depth_of, macs, node_of, rewritten
from tinyguard.graph import Graph
from tinyguard.operators import resolve
from tinyguard.passes import eliminate_dead_channels

BIAS = np.array([5000, -9000, 20000, 100, -300, 8000])


def start(shape: tuple[int, ...] = (1, 5, 4, 3), zero_point: int = 7) -> tuple[GraphBuilder, int]:
    b = GraphBuilder()
    return b, b.input(shape, "int8", 0.03, zero_point)


def pruned(b: GraphBuilder, x: int, *dead: int, bias: np.ndarray = BIAS, **others: object) -> int:
    """A pointwise convolution to six channels, of which those of `dead` are constants."""
    w = weights(6, 1, 1, depth_of_builder(b, x), without=dead)
    return convolution(b, x, w, bias, **others)  # type: ignore[arg-type]


def depth_of_builder(b: GraphBuilder, x: int) -> int:
    return b.tensors[x].shape[-1]


def test_a_pointwise_layer_takes_constants_into_its_bias() -> None:
    b, x = start()
    y = pruned(b, x, 1, 2, 5)
    convolution(b, y, weights(4, 1, 1, 6), [1, 2, 3, 4])
    before = b.graph()
    after = rewritten(before, eliminate_dead_channels)
    assert depth_of(after, y) == 3
    assert macs(after) == macs(before) // 2
    first, second = (resolve(g)[1].bias for g in (before, after))  # type: ignore[attr-defined]
    assert (first != second).any(), "the codes of channels 2 and 5 are not the zero point"


def test_a_layer_without_bias_gets_one() -> None:
    b, x = start()
    y = pruned(b, x, 2)
    convolution(b, y, weights(4, 1, 1, 6))
    after = rewritten(b.graph(), eliminate_dead_channels)
    assert len(after.nodes[1].inputs) == 3
    assert after.tensors[after.nodes[1].inputs[2]].dtype == "int32"


@pytest.mark.parametrize("zero_point", [-128, 0])
@pytest.mark.parametrize(("padding", "left"), [("SAME", 5), ("VALID", 4)])
def test_borders_keep_constants_that_are_not_the_zero_point(padding: str, left: int, zero_point: int) -> None:
    """Channel 1 holds the zero point, channel 2 another code, which padding shows at the borders."""
    b, x = start()
    y = pruned(b, x, 1, 2, bias=np.array([500, 0, 20000, 100, -300, 800]), zero_point=zero_point)
    convolution(b, y, weights(4, 3, 3, 6), [1, 2, 3, 4], padding=padding)
    after = rewritten(b.graph(), eliminate_dead_channels)
    assert depth_of(after, y) == left


@pytest.mark.parametrize(("padding", "left"), [("SAME", 5), ("VALID", 4)])
def test_depthwise_layers_pass_constants_on_but_for_borders(padding: str, left: int) -> None:
    b, x = start()
    y = pruned(b, x, 1, 2)
    w = weights(1, 3, 3, 6, axis=3)
    z = depthwise(b, y, w, list(range(6)), padding=padding, zero_point=0, activation="NONE")
    convolution(b, z, weights(4, 1, 1, 6), [1, 2, 3, 4])
    after = rewritten(b.graph(), eliminate_dead_channels)
    assert (depth_of(after, y), depth_of(after, z)) == (left, left)


def test_depthwise_channels_without_weights_take_their_input_along() -> None:
    b, x = start()
    y = pruned(b, x)
    w = weights(1, 3, 3, 12, without=(2, 3, 7), axis=3)
    z = depthwise(b, y, w, list(range(12)))
    convolution(b, z, weights(4, 1, 1, 12), [1, 2, 3, 4])
    after = rewritten(b.graph(), eliminate_dead_channels)
    assert (depth_of(after, y), depth_of(after, z)) == (5, 10), "with both channels of a multiplier of 2"


def test_channels_that_nothing_reads_go_back_to_the_first_layer() -> None:
    """Through depthwise, pooling, resizing, a product per channel and a mean."""
    b, x = start((1, 6, 6, 3))
    y = pruned(b, x)
    y = depthwise(b, y, weights(1, 3, 3, 6, axis=3), list(range(6)))
    first = y
    window = {"padding": "VALID", "stride_h": 2, "stride_w": 2, "filter_height": 2, "filter_width": 2}
    y = b.node("AVERAGE_POOL_2D", [y], (1, 3, 3, 6), **window, fused_activation_function="NONE")
    size = b.constant(np.array([5, 4], np.int32))
    options = {"align_corners": False, "half_pixel_centers": True}
    y = b.node("RESIZE_BILINEAR", [y, size], (1, 5, 4, 6), **options)
    factors = b.constant(np.arange(20, 26).astype(np.int8), 0.02)
    y = b.node("MUL", [y, factors], (1, 5, 4, 6), "int8", 0.02, 4, fused_activation_function="NONE")
    y = b.node("MEAN", [y, b.constant(np.array([1, 2], np.int32))], (1, 6), "int8", 0.01, 5, keep_dims=False)
    dense(b, y, weights(3, 6, without=(0, 4), axis=1), [5, 6, 7])
    before = b.graph()
    after = rewritten(before, eliminate_dead_channels)
    assert {depth_of(after, node.outputs[0]) for node in after.nodes[:-1]} == {4}
    assert after.tensors[node_of(after, "MUL").inputs[1]].data.tolist() == [21, 22, 23, 25]  # type: ignore[union-attr]
    assert first in (node.outputs[0] for node in after.nodes)


def test_a_sum_keeps_a_channel_while_one_side_varies() -> None:
    b, x = start()
    y, z = pruned(b, x, 0, 1, 2), pruned(b, x, 1, 2, 3)
    s = b.node("ADD", [y, z], (1, 5, 4, 6), "int8", 0.05, 3, fused_activation_function="NONE")
    convolution(b, s, weights(4, 1, 1, 6), [1, 2, 3, 4])
    after = rewritten(b.graph(), eliminate_dead_channels)
    assert [depth_of(after, t) for t in (y, z, s)] == [4, 4, 4], "1 and 2 are constants on both sides"


def test_concatenations_drop_channels_part_by_part() -> None:
    b, x = start()
    y, z = pruned(b, x, 0, 5), pruned(b, x, 1)
    part = b.constant(np.arange(40).reshape(1, 5, 4, 2).astype(np.int8), SCALE, -128)
    s = b.node("CONCATENATION", [y, part, z, y], (1, 5, 4, 20), axis=-1)
    w = weights(4, 1, 1, 20, without=(6, 10), axis=3)
    convolution(b, s, w, [1, 2, 3, 4])
    after = rewritten(b.graph(), eliminate_dead_channels)
    assert [depth_of(after, t) for t in (y, z, s)] == [4, 4, 4 + 1 + 4 + 4]


def test_every_reader_must_agree() -> None:
    """The other reader has padding, or weights where this one has none."""
    b, x = start()
    y = pruned(b, x, 2)
    convolution(b, y, weights(4, 1, 1, 6, without=(0, 1), axis=3), [1, 2, 3, 4])
    convolution(b, y, weights(4, 3, 3, 6, without=(0, 4), axis=3), [1, 2, 3, 4])
    outputs = [node.outputs[0] for node in b.nodes[1:]]
    after = rewritten(b.graph(outputs), eliminate_dead_channels)
    assert depth_of(after, y) == 5


def test_flattening_drops_a_channel_at_every_position() -> None:
    b, x = start((1, 2, 3, 3))
    y = pruned(b, x, 1, 4)
    f = b.node("RESHAPE", [y, b.constant(np.array([1, 36], np.int32))], (1, 36), new_shape=[1, 36])
    dense(b, f, weights(3, 36), [5, 6, 7])
    after = rewritten(b.graph(), eliminate_dead_channels)
    assert (depth_of(after, y), depth_of(after, f)) == (4, 24)


def test_a_bias_that_holds_a_clamp_down_makes_a_constant_too() -> None:
    b, x = start()
    bias = np.array([500, -(10**6), 700, 10**6, -300, 800])
    y = pruned(b, x, bias=bias)
    convolution(b, y, weights(4, 1, 1, 6), [1, 2, 3, 4])
    after = rewritten(b.graph(), eliminate_dead_channels)
    assert depth_of(after, y) == 4


def test_constants_that_must_stay_read_nothing() -> None:
    """An output keeps its shape; what fed its constant channels alone goes."""
    b, x = start()
    y = pruned(b, x)
    w = weights(6, 1, 1, 6, without=(0,))
    w[2:, ..., 3] = 0
    z = convolution(b, y, w, [99, 10**6, 3, 4, 5, 6])
    after = rewritten(b.graph([z]), eliminate_dead_channels)
    assert (depth_of(after, y), depth_of(after, z)) == (5, 6)


def test_one_channel_is_left_where_none_matters() -> None:
    b, x = start()
    y = pruned(b, x, *range(6))
    convolution(b, y, weights(4, 1, 1, 6), [1, 2, 3, 4])
    assert depth_of(rewritten(b.graph(), eliminate_dead_channels), y) == 1


def test_per_channel_fully_connected_layers_keep_two_channels() -> None:
    """With a single scale TFLite computes the multiplier in float32."""
    b, x = start((1, 8))
    y = dense(b, x, weights(4, 8, without=(0, 1, 2)), [1, 2, 3, 400], per_channel=True)
    dense(b, y, weights(3, 4), [5, 6, 7])
    assert depth_of(rewritten(b.graph(), eliminate_dead_channels), y) == 2


def test_multiples_keep_dead_channels_with_zero_weights() -> None:
    b, x = start()
    y = pruned(b, x, 1, 2, 5)
    z = depthwise(b, y, weights(1, 1, 1, 6, axis=3), list(range(6)), activation="NONE", zero_point=0)
    convolution(b, z, weights(4, 1, 1, 6), [1, 2, 3, 4])
    after = rewritten(b.graph(), partial(eliminate_dead_channels, multiple=4))
    assert (depth_of(after, y), depth_of(after, z)) == (4, 4)
    kept = after.tensors[after.nodes[2].inputs[1]].data
    assert kept is not None
    assert (~kept.any(axis=(0, 1, 2))).sum() == 1


def test_nothing_dead_changes_nothing() -> None:
    b, x = start()
    y = pruned(b, x)
    convolution(b, y, weights(4, 1, 1, 6), [1, 2, 3, 4])
    graph: Graph = b.graph()
    assert eliminate_dead_channels(graph) is graph
    assert_same(graph, graph)


def test_weights_that_two_layers_share_are_cut_for_one() -> None:
    b, x = start((1, 5, 4, 6))
    w = weights(6, 1, 1, 6, without=(1, 2))
    y = convolution(b, x, w, BIAS)
    shared = b.nodes[0].inputs[1:]
    options = dict(b.nodes[0].options)
    z = b.node("CONV_2D", [y, *shared], (1, 5, 4, 6), "int8", SCALE, -128, **options)
    after = rewritten(b.graph([z]), eliminate_dead_channels)
    assert (depth_of(after, y), depth_of(after, z)) == (4, 6)
    assert len(after.tensors) > len(b.tensors)
