# SPDX-License-Identifier: Apache-2.0
"""Elementwise operators beyond their bytes: loops, refusals, gradients, corners no random case reaches."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.operators import oracles
from tests.operators.builder import GraphBuilder
from tests.operators.cases_of import drawn_cases
from tinyguard.graph import Graph
from tinyguard.operators import resolve, unsupported
from tinyguard.operators.families import elementwise


@st.composite
def operand_shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    output = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    a, b = ([n if draw(st.booleans()) else 1 for n in output] for _ in range(2))
    return tuple(a), tuple(b[draw(st.integers(0, len(b) - 1)) :])


@given(operand_shapes())
def test_rows_visit_both_operands_as_numpy_broadcasts(
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    found = elementwise.rows(*shapes)
    assert (found.a[-1], found.b[-1]) in ((1, 1), (0, 1), (1, 0))
    for shape, steps in zip(shapes, (found.a, found.b), strict=True):
        places = np.arange(np.prod(shape)).reshape(shape)
        expected = np.broadcast_to(places, np.broadcast_shapes(*shapes)).ravel()
        visited = sum(
            np.arange(n).reshape(-1, *(1,) * (len(steps) - 1 - k)) * step
            for k, (n, step) in enumerate(zip(found.sizes, steps, strict=True))
        )
        assert np.array_equal(np.broadcast_to(visited, found.sizes).ravel(), expected)


def test_equal_shapes_and_channels_are_plain_loops() -> None:
    assert elementwise.rows((1, 8, 8, 16), (1, 8, 8, 16)).sizes == (1024,)
    assert elementwise.rows((1, 8, 8, 16), (16,)) == elementwise.Rows((64, 16), (16, 1), (0, 1))
    assert elementwise.rows((1, 8, 8, 16), (1,)) == elementwise.Rows((1024,), (1,), (0,))


def one_node(
    operator: str, dtype: str, scales: tuple[float, ...], output: tuple[float, int], **options: object
) -> Graph:
    b = GraphBuilder()
    inputs = [b.input((1, 8), dtype, scale, 0) for scale in scales]
    b.node(operator, inputs, (1, 8), dtype, *output, **options)
    return b.graph()


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (one_node("ADD", "int8", (0.1, 0.1), (1e-9, 0)), "output scale 1e-09 far below"),
        (one_node("ADD", "int16", (0.25, 0.5), (0.5, 0), pot_scale_int16=True), "pot_scale_int16"),
        (one_node("MUL", "int16", (0.1, 0.1), (0.001, 0)), "far below the inputs' product"),
        (one_node("MAXIMUM", "int8", (0.1, 0.2), (0.1, 0)), "different scales or zero points"),
        (one_node("PRELU", "int16", (0.1, 0.1), (0.1, 0)), "int8 is needed"),
        (one_node("HARD_SWISH", "int16", (0.1,), (0.1, 0)), "int8 is needed"),
        (one_node("LEAKY_RELU", "int8", (0.1,), (0.1, 0), alpha=-0.5), "alpha -0.5"),
        (one_node("LOGISTIC", "int8", (0.1,), (0.1, 0)), "not 1/256, -128"),
        (one_node("TANH", "int8", (0.1,), (1 / 128, 5)), "not 1/128, 0"),
        (one_node("TANH", "int16", (5.0,), (2.0**-15, 0)), "input scale 5 too large"),
        (one_node("SOFTMAX", "int8", (0.1,), (1 / 128, -128), beta=1.0), "1/256 is needed"),
        (one_node("SOFTMAX", "int8", (1e-9,), (1 / 256, -128), beta=1.0), "too small"),
    ],
    ids=lambda value: value.nodes[0].operator if isinstance(value, Graph) else "",
)
def test_what_is_ill_defined_is_refused(graph: Graph, reason: str) -> None:
    problems = unsupported(graph)
    assert len(problems) == 1
    assert reason in problems[0]


def gradient(graph: Graph, x: np.ndarray) -> np.ndarray:
    inputs = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    oracles.torch_outputs(graph, [inputs])[0].sum().backward()
    assert inputs.grad is not None
    return inputs.grad.numpy()


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "abs", "hard_swish", "logistic", "quantize"])
def test_gradients_have_the_sign_of_finite_differences(name: str) -> None:
    for case in drawn_cases(name, "int8", range(20)):
        if case.samples[0].dtype != np.int8:
            continue
        x = np.broadcast_to(
            np.arange(-120, 121, dtype=np.int8).reshape(-1, *(1,) * (case.samples[0].ndim - 1)),
            (241, *case.samples[0].shape[1:]),
        )
        before, after = (oracles.numpy_reference(case.graph, [(x + d).astype(np.int8)])[0] for d in (-5, 5))
        rise = after.astype(int) - before
        steep = gradient(case.graph, x)
        clear = (np.abs(rise) >= 5) & (np.abs(steep) > 0.2)
        assert (np.sign(steep) == np.sign(rise))[clear].all(), case.describe()


@pytest.mark.parametrize(("operator", "sign"), [("ADD", 1), ("SUB", -1)])
def test_gradients_of_sums_are_the_ratios_of_scales_inside_the_clamp(operator: str, sign: int) -> None:
    graph = one_node(operator, "int8", (0.02, 0.04), (0.05, 10), fused_activation_function="RELU")
    a, b = (torch.full((1, 1, 8), float(v), requires_grad=True) for v in (50, 2))
    oracles.torch_outputs(graph, [a, b])[0].sum().backward()
    assert torch.allclose(a.grad, torch.full_like(a, 0.4), rtol=1e-5)
    assert torch.allclose(b.grad, torch.full_like(b, sign * 0.8), rtol=1e-5)
    a.grad = None
    oracles.torch_outputs(graph, [a - 150, b * 0])[0].sum().backward()
    assert (a.grad == 0).all()


def test_gradient_of_a_product_is_the_other_operand() -> None:
    graph = one_node("MUL", "int8", (0.02, 0.04), (0.05, -20))
    a, b = (torch.full((1, 1, 8), float(v), requires_grad=True) for v in (50, 30))
    oracles.torch_outputs(graph, [a, b])[0].sum().backward()
    assert torch.allclose(a.grad, torch.full_like(a, 30 * 0.016), rtol=1e-4)
    assert torch.allclose(b.grad, torch.full_like(b, 50 * 0.016), rtol=1e-4)


def test_gradients_of_the_borders_are_the_scales() -> None:
    b = GraphBuilder()
    b.node("DEQUANTIZE", [b.input((1, 4), "int8", 0.25, 3)], (1, 4), "float32")
    assert np.allclose(gradient(b.graph(), np.ones((2, 1, 4))), 0.25)
    b = GraphBuilder()
    b.node("QUANTIZE", [b.input((1, 4), "float32")], (1, 4), "int8", 0.25, 3)
    assert np.allclose(gradient(b.graph(), np.ones((2, 1, 4))), 4)


def runs() -> list[Callable[[Graph, list[np.ndarray]], np.ndarray]]:
    return [
        lambda graph, x: oracles.numpy_reference(graph, x)[0],
        lambda graph, x: oracles.torch_forward(graph, x)[0],
    ]


@pytest.mark.parametrize("run", runs(), ids=["numpy", "torch"])
def test_quantize_saturates_what_is_far_outside_and_infinite(
    run: Callable[[Graph, list[np.ndarray]], np.ndarray],
) -> None:
    b = GraphBuilder()
    b.node("QUANTIZE", [b.input((1, 6), "float32")], (1, 6), "int8", 1e-6, 20)
    x = np.array([[[1e30, -1e30, np.inf, -np.inf, np.nan, 1.5e-6]]], np.float32)
    assert run(b.graph(), [x]).tolist() == [[[127, -128, 127, -128, -128, 22]]]


@pytest.mark.parametrize("depth", [511, 512, 1000, 4095])
def test_softmax_of_many_equal_codes_rounds_to_nothing(depth: int) -> None:
    b = GraphBuilder()
    b.node("SOFTMAX", [b.input((1, depth), "int8", 0.1, 0)], (1, depth), "int8", 1 / 256, -128, beta=1.0)
    answer = oracles.numpy_reference(b.graph(), [np.zeros((1, 1, depth), np.int8)])[0]
    assert set(answer.ravel().tolist()) == {-127 if depth == 511 else -128}


def test_both_operands_may_be_one_tensor(tmp_path: Path) -> None:
    b = GraphBuilder()
    x = b.input((1, 5), "int8", 0.1, -4)
    b.node("SUB", [x, x], (1, 5), "int8", 0.1, 7)
    codes = np.arange(-50, 50, dtype=np.int8).reshape(20, 1, 5)
    assert (oracles.numpy_reference(b.graph(), [codes])[0] == 7).all()
    assert resolve(b.graph())[0].in_place == (0, 1)
    assert (oracles.host_c([(b.graph(), [codes])], tmp_path / "project")[0][0] == 7).all()
