# SPDX-License-Identifier: Apache-2.0
"""Lone clamps between tensors of one quantization become the clamp of the layer before them."""

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder
from tests.passes.layers import SCALE, convolution, dense, weights
from tests.passes.proof import operators_of, rewritten
from tinyguard.operators import resolve
from tinyguard.passes import fold_activations

SHAPE = (1, 5, 4, 4)
ZERO_POINT = -20


def layer(b: GraphBuilder, kind: str, activation: str = "NONE") -> int:
    """A layer of each kind that clamps, its output of SCALE and ZERO_POINT."""
    x = b.input(SHAPE, "int8", SCALE, ZERO_POINT)
    if kind == "CONV_2D":
        w = weights(4, 3, 3, 4)
        return convolution(b, x, w, [1, 2, 3, 4], zero_point=ZERO_POINT, activation=activation)
    options = {"fused_activation_function": activation}
    if kind.endswith("POOL_2D"):
        options |= {"padding": "SAME", "stride_h": 1, "stride_w": 1, "filter_height": 2, "filter_width": 2}  # type: ignore[dict-item]
        return b.node(kind, [x], SHAPE, **options)
    return b.node(kind, [x, x], SHAPE, "int8", SCALE, ZERO_POINT, **options)


def clamp_of_the_only_layer(b: GraphBuilder) -> tuple[int, int]:
    graph = b.graph()
    after = rewritten(graph, fold_activations)
    (operator,) = resolve(after)
    assert operator.outputs[0].name == graph.tensors[graph.outputs[0]].name
    return operator.clamp


@pytest.mark.parametrize("kind", ["CONV_2D", "ADD", "SUB", "MUL", "MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_every_layer_that_clamps_takes_a_relu(kind: str) -> None:
    b = GraphBuilder()
    b.node("RELU", [layer(b, kind)], SHAPE)
    assert clamp_of_the_only_layer(b) == (ZERO_POINT, 127)


def test_fully_connected_layers_take_a_relu6() -> None:
    b = GraphBuilder()
    y = dense(b, b.input((1, 8), "int8", 0.03, 7), weights(5, 8), [1, 2, 3, 4, 5])
    b.node("RELU6", [y], (1, 5))
    assert clamp_of_the_only_layer(b) == (3, 123)


def test_int16_layers_take_a_relu() -> None:
    b = GraphBuilder()
    x = b.input(SHAPE, "int16", 0.0003, 0)
    y = convolution(b, x, weights(4, 1, 1, 4), None, zero_point=0, activation="NONE", scale=0.0001)
    b.node("RELU", [y], SHAPE, "int16")
    assert clamp_of_the_only_layer(b) == (0, 32767)


@pytest.mark.parametrize("last", [False, True])
def test_maximum_and_minimum_with_one_constant_clamp(last: bool) -> None:
    b = GraphBuilder()
    y = layer(b, "CONV_2D")
    for kind, code in (("MAXIMUM", -50), ("MINIMUM", 60)):
        bound = b.constant(np.array([code], np.int8), SCALE, ZERO_POINT)
        y = b.node(kind, [bound, y] if last else [y, bound], SHAPE)
    assert clamp_of_the_only_layer(b) == (-50, 60)


def test_clamps_that_do_not_meet_leave_one_code() -> None:
    b = GraphBuilder()
    y = layer(b, "ADD", "RELU")
    b.node("MINIMUM", [y, b.constant(np.array([-70], np.int8), SCALE, ZERO_POINT)], SHAPE)
    assert clamp_of_the_only_layer(b) == (-70, -70)


def test_a_clamp_of_another_scale_stays() -> None:
    b = GraphBuilder()
    b.node("RELU", [layer(b, "CONV_2D")], SHAPE, "int8", SCALE / 2, ZERO_POINT)
    graph = b.graph()
    assert fold_activations(graph) is graph


def test_what_others_read_before_the_clamp_stays() -> None:
    b = GraphBuilder()
    y = layer(b, "CONV_2D")
    z = b.node("RELU", [y], SHAPE)
    graph = b.graph([z, y])
    assert fold_activations(graph) is graph
    b.node("LOGISTIC", [y], SHAPE, "int8", 2.0**-8, -128)
    graph = b.graph([z, b.nodes[-1].outputs[0]])
    assert fold_activations(graph) is graph
    assert operators_of(graph) == ["CONV_2D", "RELU", "LOGISTIC"]


def test_other_functions_stay() -> None:
    b = GraphBuilder()
    b.node("ABS", [layer(b, "CONV_2D")], SHAPE)
    graph = b.graph()
    assert fold_activations(graph) is graph
