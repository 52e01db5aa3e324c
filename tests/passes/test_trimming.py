# SPDX-License-Identifier: Apache-2.0
"""Windows lose the rows and columns that add nothing, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder
from tests.passes.layers import convolution, depthwise, weights
from tests.passes.proof import rewritten
from tinyguard.operators import resolve
from tinyguard.passes import optimize, trim_windows


def kernel_of(b: GraphBuilder, node: int = 0) -> tuple[int, int]:
    operator = resolve(rewritten(b.graph(), trim_windows))[node]
    return operator.rows.kernel, operator.columns.kernel  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("size", "kernel", "left"),
    [((1, 1), (3, 3), (1, 1)), ((7, 1), (3, 5), (3, 1)), ((2, 9), (5, 3), (3, 3)), ((1, 4), (10, 4), (1, 4))],
)
@pytest.mark.parametrize("stride", [1, 2])
def test_taps_that_only_see_padding_go(
    size: tuple[int, int], kernel: tuple[int, int], left: tuple[int, int], stride: int
) -> None:
    b = GraphBuilder()
    x = b.input((1, *size, 3), "int8", 0.03, 7)
    convolution(b, x, weights(4, *kernel, 3), [1, 2, 3, 4], stride=stride)
    rows, columns = kernel_of(b)
    assert (rows <= left[0], columns <= left[1]) == (True, True)
    assert stride == 2 or (rows, columns) == left


def test_depthwise_windows_too() -> None:
    b = GraphBuilder()
    depthwise(b, b.input((1, 1, 5, 3), "int8", 0.03, 7), weights(1, 3, 3, 3), [1, 2, 3])
    assert kernel_of(b) == (1, 3)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_taps_without_weight_go(padding: str, stride: int) -> None:
    """At the end always; at the beginning as far as there is padding to begin in."""
    b = GraphBuilder()
    w = weights(4, 5, 5, 3)
    w[:, 3:], w[:, :, :2] = 0, 0
    convolution(b, b.input((1, 9, 9, 3), "int8", 0.03, 7), w, [1, 2, 3, 4], padding=padding, stride=stride)
    rows, columns = kernel_of(b)
    assert rows == 3
    before = {1: 2, 2: 2, 3: 1}[stride] if padding == "SAME" else 0
    assert columns == 5 - before


def test_whole_windows_and_empty_ones_stay() -> None:
    for w in (weights(4, 3, 3, 3), np.zeros((4, 3, 3, 3), np.int8)):
        b = GraphBuilder()
        convolution(b, b.input((1, 4, 4, 3), "int8", 0.03, 7), w, [1, 2, 3, 4])
        assert trim_windows(graph := b.graph()) is graph


def test_every_window_still_meets_the_input() -> None:
    """Kernels may count on it."""
    b = GraphBuilder()
    w = weights(4, 5, 5, 3)
    w[:, :, 2:] = 0
    convolution(b, b.input((1, 9, 9, 3), "int8", 0.03, 7), w, [1, 2, 3, 4])
    assert trim_windows(graph := b.graph()) is graph


@pytest.mark.parametrize(
    ("size", "without", "left"), [((2, 9), 0, (1, 3)), ((9, 9), 2, (2, 3)), ((9, 9), 1, (2, 3))]
)
def test_dilated_windows_are_cut_tap_by_tap(
    size: tuple[int, int], without: int, left: tuple[int, int]
) -> None:
    """Two rows of padding make room for one tap at a dilation of 2, even where two weigh nothing."""
    b = GraphBuilder()
    w = weights(4, 3, 3, 3)
    w[:, :without] = 0
    convolution(b, b.input((1, *size, 3), "int8", 0.03, 7), w, [1, 2, 3, 4])
    options = {**b.nodes[0].options, "dilation_h_factor": 2, "dilation_w_factor": 3}
    b.nodes[0] = replace(b.nodes[0], options=options)
    assert kernel_of(b) == left


def test_padding_and_cutting_go_together() -> None:
    """A PAD before, cut windows after: two passes on the same options."""
    b = GraphBuilder()
    x = b.input((1, 1, 6, 3), "int8", 0.03, 7)
    widths = b.constant(np.array([(0, 0), (1, 1), (1, 0), (0, 0)], np.int32))
    x = b.node("PAD", [x, widths], (1, 3, 7, 3))
    w = weights(4, 3, 3, 3)
    w[:, :, 2:] = 0
    convolution(b, x, w, [1, 2, 3, 4], padding="VALID")
    (operator,) = resolve(rewritten(b.graph(), optimize))
    assert (operator.rows.kernel, operator.columns.kernel) == (1, 2)  # type: ignore[attr-defined]
