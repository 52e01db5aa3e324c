# SPDX-License-Identifier: Apache-2.0
"""What data movement refuses, how it becomes runs of bytes, and that its gradient is the way back."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.operators import oracles
from tests.operators.builder import GraphBuilder
from tests.operators.cases_of import drawn_cases
from tinyguard.graph import Graph
from tinyguard.operators import unsupported
from tinyguard.operators.families.moving import Blocks, Move, along, at, contiguous_blocks
from tinyguard.tflite.writer import write_graph


def two_inputs(second_scale: float = 0.5, dtype: str = "int8") -> tuple[GraphBuilder, list[int]]:
    b = GraphBuilder()
    return b, [b.input((1, 2, 3), dtype, 0.5, 0), b.input((1, 2, 3), dtype, second_scale, 0)]


def joined(operator: str, dtype: str, **options: object) -> Graph:
    b, inputs = two_inputs(0.25, dtype)
    shape = (1, 2, 2, 3) if operator == "PACK" else (1, 4, 3)
    b.node(operator, inputs, shape, dtype, axis=1, **options)
    return b.graph()


def concatenated_with_activation() -> Graph:
    b, inputs = two_inputs()
    b.node("CONCATENATION", inputs, (1, 4, 3), axis=1, fused_activation_function="RELU")
    return b.graph()


def padded(operator: str, widths: list[list[int]], shape: tuple[int, ...], value_scale: float = 0.5) -> Graph:
    b = GraphBuilder()
    inputs = [b.input((1, 4), "int8", 0.5, 3), b.constant(np.array(widths, np.int32))]
    if operator == "PADV2":
        inputs.append(b.constant(np.array([7], np.int8), value_scale, 3))
    b.node(operator, inputs, shape)
    return b.graph()


def strided(
    begin: list[int], end: list[int], strides: list[int], shape: tuple[int, ...], **masks: int
) -> Graph:
    b = GraphBuilder()
    x = b.input((1, 4, 5), "int8", 0.5, 0)
    indices = [b.constant(np.array(v, np.int32)) for v in (begin, end, strides)]
    b.node("STRIDED_SLICE", [x, *indices], shape, **masks)
    return b.graph()


REFUSED: list[tuple[Callable[[], Graph], str, bool]] = [
    # graph, words of the reason, whether TF refuses it as well: it copies codes of any meaning
    (lambda: joined("CONCATENATION", "int8"), "another quantization", True),
    (lambda: joined("CONCATENATION", "int16"), "another quantization", False),
    (lambda: joined("PACK", "int8", values_count=2), "another quantization", True),
    (concatenated_with_activation, "fused activation RELU", True),
    (lambda: padded("PAD", [[0, 0], [-1, 0]], (1, 3)), "negative paddings", True),
    (lambda: padded("PADV2", [[0, 0], [1, 0]], (1, 5), value_scale=0.25), "another quantization", False),
    (lambda: strided([0, 2, 0], [1, 2, 5], [1, 1, 1], (1, 1, 5)), "empty slice", False),
    (lambda: strided([0, 0, 4], [1, 4, 0], [1, 1, 0], (1, 4, 5)), "a stride of 0", True),
    (
        lambda: strided([0, 9, 0], [1, 1, 5], [1, 1, 1], (1, 5), shrink_axis_mask=2),
        "index 9 of an axis",
        False,
    ),
    (
        lambda: strided([0, 0, 0, 0], [1, 4, 0, 5], [1, 1, 1, 1], (1, 4, 5), ellipsis_mask=4),
        "an ellipsis over no axis",
        False,
    ),
]


@pytest.mark.parametrize(("make", "reason", "tensorflow_too"), REFUSED)
def test_what_has_no_meaning_is_refused(make: Callable[[], Graph], reason: str, tensorflow_too: bool) -> None:
    graph = make()
    problems = unsupported(graph)
    assert len(problems) == 1, problems
    assert reason in problems[0]
    if tensorflow_too:
        samples = [np.zeros((1, *graph.tensors[i].shape), graph.tensors[i].dtype) for i in graph.inputs]
        with pytest.raises(oracles.Refusal):
            oracles.tensorflow_reference(write_graph(graph), samples)


def test_channels_are_concatenated_by_one_run_a_pixel() -> None:
    move = Move(0, 0, put=along(3, slice(2, 5)))
    assert contiguous_blocks(move, (1, 6, 4, 3), (1, 6, 4, 8), 2) == Blocks(6, (24,), (6,), (16,), 0, 4)


def test_a_slice_of_rows_is_one_run() -> None:
    move = Move(0, 0, take=at(slice(None), slice(2, 4)))
    assert contiguous_blocks(move, (1, 6, 4, 3), (1, 2, 4, 3), 1) == Blocks(24, (), (), (), 24, 0)


def test_a_reversed_axis_starts_at_its_end() -> None:
    move = Move(0, 0, take=at(slice(None), slice(None, None, -1)))
    assert contiguous_blocks(move, (1, 6, 3), (1, 6, 3), 1) == Blocks(3, (6,), (-3,), (3,), 15, 0)


@pytest.mark.parametrize("name", ["concatenation", "reshape", "slice", "split", "transpose"])
def test_the_gradient_is_the_movement_back(name: str) -> None:
    """<w, move(x)> - <w, move(0)> = <gradient, x>, to the last digit: these are sums of small integers."""
    import torch

    for case in drawn_cases(name, "int8", range(20)):
        rng = np.random.default_rng(0)
        weights = [torch.from_numpy(rng.integers(-9, 10, y.shape)).float() for y in case.expected]

        def weighted(inputs: Sequence[Any], graph: Graph = case.graph, weights: Any = weights) -> Any:
            outputs = oracles.torch_outputs(graph, inputs)
            return torch.stack([(y * w).sum() for y, w in zip(outputs, weights, strict=True)]).sum()

        leaves = [torch.from_numpy(s).float().requires_grad_() for s in case.samples]
        total = weighted(leaves)
        total.backward()
        back = sum(float((x.grad * x.detach()).sum()) for x in leaves if x.grad is not None)
        assert back == float(total.detach() - weighted([torch.zeros_like(x) for x in leaves]))
