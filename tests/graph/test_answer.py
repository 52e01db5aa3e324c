# SPDX-License-Identifier: Apache-2.0
"""What outputs mean: roles of plain files, the answer in NumPy and in torch, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.graph.networks import network, stated
from tests.operators.builder import GraphBuilder
from tinyguard.errors import TinyguardError
from tinyguard.graph.answer import (
    UNDECIDED,
    answer_place,
    check_answer,
    choose_output,
    class_count,
    decide,
    half,
    has_answer,
    role_of,
    roles,
)

DRAWN = 1000


@pytest.mark.parametrize(
    ("shape", "function", "role"),
    [
        ((1, 10), "RELU", "scores"),
        ((1, 2), "LOGISTIC", "scores"),
        ((10,), "RELU", "scores"),
        ((1, 1, 1, 10), "RELU", "scores"),
        ((1, 1), "LOGISTIC", "probability"),
        ((1,), "LOGISTIC", "probability"),
        ((1, 1), "RELU", "values"),
        ((1, 4, 4, 3), "RELU", "map"),
        ((1, 4, 1, 1), "RELU", "map"),
        ((5, 2), "RELU", "values"),
        ((1, 5, 2), "RELU", "values"),
    ],
)
def test_roles_of_plain_files(shape: tuple[int, ...], function: str, role: str) -> None:
    graph = network(shape, function=function)
    assert role_of(graph, graph.outputs[0]).name == role
    assert has_answer(graph) == (role in ("scores", "probability"))


def test_a_probability_is_found_under_layers_that_only_move() -> None:
    builder = GraphBuilder()
    source = builder.input((1, 1), "int8", 0.1, 3)
    half = builder.node("LOGISTIC", [source], (1, 1), "int8", 1 / 256, -128)
    flat = builder.node("RESHAPE", [half, builder.constant(np.array([1]))], (1,), "int8", 1 / 256, -128)
    real = builder.node("DEQUANTIZE", [flat], (1,), "float32")
    graph = builder.graph([real])
    assert class_count(graph) == 2
    assert decide(graph, [np.array([[0.5], [0.51]], np.float32)]).label.tolist() == [0, 1]


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("name", sorted(roles()))
def test_numpy_and_torch_decide_alike(name: str, dtype: str) -> None:
    """Each role as the answer where it can be, and beside one; few different codes, so that many tie."""
    rng = np.random.default_rng(len(name))
    role = roles()[name]
    shapes = ((1, 1 if name == "probability" else 4), (1, 3))
    graph = network(*shapes, dtype=dtype)
    graph = stated(graph, name, "mark") if role.scores else stated(graph, "scores", name)
    middle = half(graph.tensors[graph.outputs[0]])
    low, high = (middle - 2, middle + 3) if name == "probability" else (-128, 128)
    span = [rng.integers(low, high, (DRAWN, *shapes[0][1:])), rng.integers(-1, 2, (DRAWN, 3))]
    if name == "scores":
        span[0] //= 64
    outputs = [codes.astype(dtype) for codes in span]
    found = decide(graph, outputs)
    twin = decide(graph, [torch.from_numpy(codes.astype(np.float32)) for codes in outputs])
    assert isinstance(twin.label, torch.Tensor)
    assert found.label.dtype == np.int64
    np.testing.assert_array_equal(found.label, twin.label.numpy())
    np.testing.assert_array_equal(found.decided, twin.decided.numpy())
    np.testing.assert_array_equal(found.scores, twin.scores.numpy())
    assert (found.marked is None) == (twin.marked is None)
    if found.marked is not None:
        np.testing.assert_array_equal(found.marked, twin.marked.numpy())
        assert 0 < found.marked.sum() < DRAWN
        assert (found.decided[found.marked] == UNDECIDED).all()
    if role.scores:
        ordered = np.sort(found.scores, axis=1)
        assert (ordered[:, -1] == ordered[:, -2]).any(), "no tie was drawn"
    assert set(found.beside) == set(twin.beside)


def test_outputs_of_one_role_are_all_there_in_their_order() -> None:
    graph = stated(network((1, 3), (1, 2), (1, 1)), "scores", "mark", "mark")
    first, second = np.array([[5, 0], [6, 1], [7, 0]]), np.array([[0], [0], [1]])
    answer = decide(graph, [np.zeros((3, 3), np.int8), first, second])
    assert answer.marked.tolist() == [False, True, True]
    for found, expected in zip(answer.beside["mark"], (first, second), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_ties_go_to_the_lowest_class() -> None:
    graph = network((1, 3))
    assert decide(graph, [np.array([[1, 7, 7], [9, 9, 9]], np.int8)]).label.tolist() == [1, 0]


def test_a_probability_of_one_half_is_class_0() -> None:
    graph = network((1, 1), function="LOGISTIC")
    codes = np.arange(-128, 128, dtype=np.int8)[:, None]
    answer = decide(graph, [codes])
    real = (codes[:, 0].astype(np.float64) + 128) / 256
    np.testing.assert_array_equal(answer.label, real > 0.5)
    np.testing.assert_array_equal((answer.scores + 128) / 256, np.stack([1 - real, real], axis=1))


def test_several_outputs_and_nothing_says_which() -> None:
    graph = network((1, 4, 4, 3), (1, 10))
    with pytest.raises(
        TinyguardError, match=r"^the network has 2 outputs, .*: 0 'relu_1' \(1, 4, 4, 3\) map, "
    ):
        check_answer(graph)
    for wanted in (1, "1", "relu_3"):
        chosen = choose_output(graph, wanted)
        outputs = [np.zeros((2, 4, 4, 3), np.int8), np.eye(2, 10, 3, np.int8)]
        assert decide(chosen, outputs).label.tolist() == [3, 4]
        assert (class_count(chosen), answer_place(chosen)) == (10, (1, 2))
    with pytest.raises(
        TinyguardError, match=r"^output 0 'relu_1' \(1, 4, 4, 3\) is map, from which no class"
    ):
        choose_output(graph, 0)
    with pytest.raises(TinyguardError, match=r"^no output '2'; the outputs are 0 'relu_1'"):
        choose_output(graph, 2)
    with pytest.raises(TinyguardError, match=r"-o names the file to write"):
        choose_output(graph, "out/model.tflite")
    assert choose_output(graph, None) is graph


def test_what_is_stated_goes_before_what_shapes_show() -> None:
    graph = network((1, 10), (1, 4))
    assert not has_answer(graph)
    assert class_count(stated(graph, None, "scores")) == 4
    assert class_count(stated(graph, "scores", "values")) == 10
    assert not has_answer(stated(graph, "scores", "scores"))
    with pytest.raises(TinyguardError, match=r"^the network's outputs say no class"):
        check_answer(stated(graph, "values", "map"))
    assert class_count(stated(graph, "latent", "scores")) == 4
    assert class_count(choose_output(stated(graph, "latent", None), 1)) == 4
    with pytest.raises(TinyguardError, match=r"is latent, from which no class follows"):
        choose_output(stated(graph, "latent", "scores"), 0)


def test_a_number_is_a_number_even_where_names_are_numbers() -> None:
    graph = network((1, 10), (1, 4))
    names = dict(zip(graph.outputs, ("1", "0"), strict=True))
    tensors = tuple(replace(t, name=names.get(t.index, t.name)) for t in graph.tensors)
    graph = replace(graph, tensors=tensors)
    assert [class_count(choose_output(graph, wanted)) for wanted in (0, 1, "0", "1")] == [10, 4, 4, 10]
