# SPDX-License-Identifier: Apache-2.0
"""What moves nothing goes, or becomes a RESHAPE, which the memory plan makes a view."""

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder
from tests.passes.layers import SCALE, convolution, weights
from tests.passes.proof import assert_same, node_of, operators_of, rewritten
from tinyguard.passes import collapse_reshapes, fold_constants, remove_identities, remove_unread

SHAPE = (1, 5, 4, 3)


def start(relu: bool = False) -> tuple[GraphBuilder, int]:
    b = GraphBuilder()
    x = b.input(SHAPE, "int8", SCALE, -20)
    activation = "RELU" if relu else "NONE"
    return b, convolution(b, x, weights(3, 1, 1, 3), [1, 2, 3], zero_point=-20, activation=activation)


def finish(b: GraphBuilder, x: int) -> int:
    return b.node("ABS", [x], b.tensors[x].shape)


def numbers(b: GraphBuilder, *values: int) -> int:
    return b.constant(np.array(values, np.int32))


def _quantize(b: GraphBuilder, x: int) -> int:
    return b.node("QUANTIZE", [x], SHAPE)


def _relu_after_relu(b: GraphBuilder, x: int) -> int:
    return b.node("RELU", [x], SHAPE)


def _transpose(b: GraphBuilder, x: int) -> int:
    return b.node("TRANSPOSE", [x, numbers(b, 0, 1, 2, 3)], SHAPE)


def _slice(b: GraphBuilder, x: int) -> int:
    ends = [numbers(b, *values) for values in ((0, 0, 0, 0), SHAPE, (1, 1, 1, 1))]
    return b.node("STRIDED_SLICE", [x, *ends], SHAPE)


def _concatenation(b: GraphBuilder, x: int) -> int:
    return b.node("CONCATENATION", [x], SHAPE, axis=2)


def _pad(b: GraphBuilder, x: int) -> int:
    return b.node("PAD", [x, b.constant(np.zeros((4, 2), np.int32))], SHAPE)


def _pool(b: GraphBuilder, x: int) -> int:
    window = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "filter_height": 1, "filter_width": 1}
    return b.node("AVERAGE_POOL_2D", [x], SHAPE, **window, fused_activation_function="NONE")


def _resize(b: GraphBuilder, x: int) -> int:
    options = {"align_corners": False, "half_pixel_centers": False}
    return b.node("RESIZE_NEAREST_NEIGHBOR", [x, numbers(b, 5, 4)], SHAPE, **options)


def _reshape(b: GraphBuilder, x: int) -> int:
    return b.node("RESHAPE", [x, numbers(b, *SHAPE)], SHAPE, new_shape=list(SHAPE))


IDLE = [_quantize, _relu_after_relu, _transpose, _slice, _concatenation, _pad, _pool, _resize, _reshape]


@pytest.mark.parametrize("idle", IDLE)
@pytest.mark.parametrize("at_the_end", [False, True])
def test_nodes_that_do_nothing_go(idle: object, at_the_end: bool) -> None:
    b, x = start(relu=True)
    y = idle(b, x)  # type: ignore[operator]
    if not at_the_end:
        finish(b, y)
    after = rewritten(b.graph(), remove_identities)
    assert operators_of(after) == ["CONV_2D"] if at_the_end else ["CONV_2D", "ABS"]


def test_a_copy_between_two_ends_of_the_graph_stays() -> None:
    b, x = start()
    y = _quantize(b, x)
    assert remove_identities(graph := b.graph([x, y])) is graph
    b = GraphBuilder()
    y = _quantize(b, b.input(SHAPE, "int8", SCALE, -20))
    assert remove_identities(graph := b.graph([y])) is graph


def test_a_copy_that_is_an_output_keeps_its_name() -> None:
    b, x = start()
    y = _transpose(b, x)
    z = finish(b, x)
    after = rewritten(b.graph([y, z]), remove_identities)
    assert operators_of(after) == ["CONV_2D", "ABS"]
    assert after.nodes[0].outputs == (y,)
    assert after.nodes[1].inputs == (y,)


def test_another_quantization_is_not_a_copy() -> None:
    b, x = start()
    finish(b, b.node("QUANTIZE", [x], SHAPE, "int8", SCALE * 2, -20))
    assert remove_identities(graph := b.graph()) is graph


def test_a_copy_that_means_another_number_becomes_a_view() -> None:
    """Moves keep codes whatever the scales say; the next layer reads the new ones."""
    b, x = start()
    order = numbers(b, 0, 1, 2, 3)
    y = b.node("TRANSPOSE", [x, order], SHAPE, "int8", SCALE * 3, 5)
    b.node("RELU", [y], SHAPE, "int8", SCALE, 0)
    after = rewritten(b.graph(), remove_identities)
    assert operators_of(after) == ["CONV_2D", "RESHAPE", "RELU"]


def test_a_relu_that_clamps_stays() -> None:
    b, x = start(relu=False)
    _relu_after_relu(b, x)
    assert remove_identities(graph := b.graph()) is graph


def test_functions_that_change_no_code_they_can_meet_go() -> None:
    b, x = start()
    finish(b, finish(b, x))
    assert operators_of(rewritten(b.graph(), remove_identities)) == ["CONV_2D", "ABS"]


def test_other_shapes_of_the_same_bytes_become_reshapes() -> None:
    b = GraphBuilder()
    x = b.input((1, 6, 1, 3), "int8", SCALE, -20)
    x = b.node("TRANSPOSE", [x, numbers(b, 2, 0, 1, 3)], (1, 1, 6, 3))
    x = b.node("PACK", [x], (1, 1, 1, 6, 3), values_count=1, axis=0)
    ends = [numbers(b, *values) for values in ((0, 0, 0), (1, 1, 1), (1, 1, 1))]
    x = b.node("STRIDED_SLICE", [x, *ends], (6, 3), shrink_axis_mask=7)
    finish(b, x)
    after = rewritten(b.graph(), remove_identities)
    assert operators_of(after) == ["RESHAPE", "RESHAPE", "RESHAPE", "ABS"]
    once = remove_unread(rewritten(after, collapse_reshapes))
    assert operators_of(once) == ["RESHAPE", "ABS"]
    assert_same(b.graph(), once)


def test_moves_stay() -> None:
    b = GraphBuilder()
    x = b.input((1, 6, 2, 3), "int8", SCALE, -20)
    finish(b, b.node("TRANSPOSE", [x, numbers(b, 0, 2, 1, 3)], (1, 2, 6, 3)))
    assert remove_identities(graph := b.graph()) is graph


def test_a_reshape_in_the_middle_that_others_read_stays() -> None:
    b, x = start()
    y = b.node("RESHAPE", [x, numbers(b, 1, 60)], (1, 60), new_shape=[1, 60])
    z = b.node("EXPAND_DIMS", [y, numbers(b, 0)], (1, 1, 60))
    outputs = [finish(b, y), finish(b, z)]
    after = remove_unread(rewritten(b.graph(outputs), collapse_reshapes))
    assert operators_of(after) == ["CONV_2D", "RESHAPE", "RESHAPE", "ABS", "ABS"]
    assert [node_of(after, "RESHAPE", k).inputs[0] for k in (0, 1)] == [x, x]


def test_what_nothing_reads_goes() -> None:
    b, x = start()
    y = finish(b, x)
    finish(b, finish(b, y))
    halves = b.node_with_outputs("SPLIT", [numbers(b, 3), x], [(1, 5, 4, 1)] * 3, num_splits=3)
    z = finish(b, halves[1])
    after = rewritten(b.graph([y, z]), remove_unread)
    assert operators_of(after) == ["CONV_2D", "ABS", "SPLIT", "ABS"]


def test_constants_are_computed_once() -> None:
    b, x = start()
    c = b.constant(np.arange(12).reshape(1, 2, 2, 3).astype(np.int8), SCALE, -20)
    c = b.node(
        "RESIZE_NEAREST_NEIGHBOR", [c, numbers(b, 5, 4)], SHAPE, align_corners=False, half_pixel_centers=False
    )
    c = finish(b, c)
    b.node("ADD", [x, c], SHAPE, "int8", SCALE * 2, 0, fused_activation_function="NONE")
    after = rewritten(b.graph(), fold_constants)
    assert operators_of(after) == ["CONV_2D", "ADD"]
    assert after.tensors[c].is_constant


def test_layers_whose_result_never_changes_are_constants() -> None:
    b, x = start()
    flat = b.node("MEAN", [x, numbers(b, 1, 2)], (1, 1, 1, 3), keep_dims=True)
    y = convolution(b, flat, weights(3, 1, 1, 3, without=(0, 1, 2)), [1, 20000, 3])
    b.node("ADD", [x, y], SHAPE, "int8", SCALE * 2, 0, fused_activation_function="NONE")
    after = rewritten(b.graph(), fold_constants)
    assert after.tensors[y].is_constant
    assert operators_of(remove_unread(after)) == ["CONV_2D", "ADD"]


def test_a_constant_output_stays_a_node() -> None:
    b, x = start()
    y = convolution(b, x, weights(3, 1, 1, 3, without=(0, 1, 2)), [1, 2, 3])
    assert fold_constants(graph := b.graph([y])) is graph


def test_an_output_that_never_changes_is_still_computed_from_the_input() -> None:
    b, x = start()
    y = b.node("MEAN", [x, numbers(b, 1, 2)], (1, 1, 1, 3), keep_dims=True)
    for _ in range(2):
        y = convolution(b, y, weights(3, 1, 1, 3, without=(0, 1, 2)), [1, 20000, 3])
    y = b.node("RESHAPE", [y, numbers(b, 1, 3)], (1, 3), new_shape=[1, 3])
    assert fold_constants(graph := b.graph()) is graph
