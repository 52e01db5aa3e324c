# SPDX-License-Identifier: Apache-2.0
"""PADs go into the windows that can take them; those that cannot keep them."""

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder
from tests.passes.layers import convolution, depthwise, weights
from tests.passes.proof import operators_of, rewritten
from tinyguard.graph import Graph
from tinyguard.passes import fold_padding

WIDTHS = ((1, 1), (0, 1), (2, 2), (2, 0))


def padded(b: GraphBuilder, rows: tuple[int, int], columns: tuple[int, int], value: int | None = None) -> int:
    """An input of 6 x 5 with PAD, or PADV2 with a value; zero point 7."""
    x = b.input((1, 6, 5, 3), "int8", 0.03, 7)
    return pad(b, x, rows, columns, value)


def pad(
    b: GraphBuilder, x: int, rows: tuple[int, int], columns: tuple[int, int], value: int | None = None
) -> int:
    shape = b.tensors[x].shape
    inputs = [x, b.constant(np.array([(0, 0), rows, columns, (0, 0)], np.int32))]
    if value is not None:
        quantization = b.quantization_of(x)
        inputs.append(b.constant(np.array([value], np.int8), *quantization))
    grown = (1, shape[1] + sum(rows), shape[2] + sum(columns), shape[3])
    return b.node("PAD" if value is None else "PADV2", inputs, grown)


def pool(b: GraphBuilder, x: int, operator: str, kernel: int = 3) -> int:
    shape = b.tensors[x].shape
    window = {
        "padding": "VALID",
        "stride_h": 1,
        "stride_w": 1,
        "filter_height": kernel,
        "filter_width": kernel,
    }
    outputs = (1, shape[1] - kernel + 1, shape[2] - kernel + 1, shape[3])
    return b.node(operator, [x], outputs, **window, fused_activation_function="NONE")


def folded(graph: Graph) -> dict[str, object]:
    """The options of the only node that is left."""
    (node,) = rewritten(graph, fold_padding).nodes
    assert node.options["padding"] == "EXPLICIT"
    return dict(node.options)


@pytest.mark.parametrize("rows", WIDTHS)
@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("value", [None, 7])
def test_convolutions_take_padding(
    rows: tuple[int, int], columns: tuple[int, int], stride: int, value: int | None
) -> None:
    b = GraphBuilder()
    x = padded(b, rows, columns, value)
    convolution(b, x, weights(4, 3, 3, 3), [1, 2, 3, 4], padding="VALID", stride=stride)
    options = folded(b.graph())
    assert (options["pad_top"], options["pad_left"]) == (rows[0], columns[0])


def test_depthwise_convolutions_take_padding() -> None:
    b = GraphBuilder()
    depthwise(b, padded(b, (1, 1), (1, 1)), weights(1, 3, 3, 6, axis=3), list(range(6)), padding="VALID")
    assert folded(b.graph())["pad_bottom"] == 1


def test_padding_adds_to_that_of_the_window() -> None:
    """SAME over the padded image pads it again; two PADs go one after the other."""
    b = GraphBuilder()
    x = pad(b, padded(b, (0, 1), (1, 0)), (1, 0), (0, 1))
    convolution(b, x, weights(4, 5, 5, 3), [1, 2, 3, 4], padding="SAME")
    once = fold_padding(b.graph())
    assert operators_of(once) == ["PAD", "CONV_2D"]
    options = folded(once)
    assert [options[f"pad_{side}"] for side in ("top", "bottom", "left", "right")] == [3, 3, 3, 3]


def test_padding_that_no_window_reaches_is_dropped() -> None:
    b = GraphBuilder()
    convolution(b, padded(b, (0, 1), (0, 0)), weights(4, 2, 1, 3), [1, 2, 3, 4], padding="VALID", stride=2)
    assert folded(b.graph())["pad_bottom"] == 0


@pytest.mark.parametrize("value", [-128, 0])
def test_max_pools_take_padding_below_every_code(value: int) -> None:
    """After a RELU no code is below 0, so that 0 is as good as nothing."""
    b = GraphBuilder()
    x = b.input((1, 6, 5, 3), "int8", 0.03, 0)
    x = convolution(b, x, weights(3, 1, 1, 3), [1, 2, 3], zero_point=0)
    pool(b, pad(b, x, (1, 1), (1, 1), value), "MAX_POOL_2D")
    assert operators_of(rewritten(b.graph(), fold_padding)) == ["CONV_2D", "MAX_POOL_2D"]


def test_every_reader_takes_the_padding_or_none() -> None:
    b = GraphBuilder()
    x = padded(b, (1, 1), (1, 1))
    for channels in (2, 4):
        convolution(b, x, weights(channels, 3, 3, 3), list(range(channels)), padding="VALID")
    graph = b.graph([node.outputs[0] for node in b.nodes[1:]])
    assert operators_of(rewritten(graph, fold_padding)) == ["CONV_2D", "CONV_2D"]
    pool(b, x, "AVERAGE_POOL_2D")
    graph = b.graph([node.outputs[0] for node in b.nodes[1:]])
    assert fold_padding(graph) is graph


def _other_value(b: GraphBuilder) -> None:
    convolution(b, padded(b, (1, 1), (1, 1), 8), weights(4, 3, 3, 3), [1, 2, 3, 4], padding="VALID")


def _window_of_padding_alone(b: GraphBuilder) -> None:
    convolution(b, padded(b, (3, 0), (0, 0)), weights(4, 3, 3, 3), [1, 2, 3, 4], padding="VALID")


def _average(b: GraphBuilder) -> None:
    pool(b, padded(b, (1, 1), (1, 1)), "AVERAGE_POOL_2D")


def _codes_below(b: GraphBuilder) -> None:
    pool(b, padded(b, (1, 1), (1, 1)), "MAX_POOL_2D")


def _channels(b: GraphBuilder) -> None:
    x = b.input((1, 6, 5, 3), "int8", 0.03, 7)
    widths = b.constant(np.array([(0, 0), (1, 1), (0, 0), (0, 1)], np.int32))
    x = b.node("PAD", [x, widths], (1, 8, 5, 4))
    convolution(b, x, weights(4, 3, 3, 4), [1, 2, 3, 4], padding="VALID")


@pytest.mark.parametrize(
    "layers", [_other_value, _window_of_padding_alone, _average, _codes_below, _channels]
)
def test_what_a_window_cannot_express_stays(layers: object) -> None:
    b = GraphBuilder()
    layers(b)  # type: ignore[operator]
    graph = b.graph()
    assert fold_padding(graph) is graph


def test_a_pad_that_is_an_output_stays() -> None:
    b = GraphBuilder()
    x = padded(b, (1, 1), (1, 1))
    y = convolution(b, x, weights(4, 3, 3, 3), [1, 2, 3, 4], padding="VALID")
    graph = b.graph([y, x])
    assert fold_padding(graph) is graph
