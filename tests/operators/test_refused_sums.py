# SPDX-License-Identifier: Apache-2.0
"""What convolutions, pooling, reductions and resizes refuse, and with which words."""

from typing import Any

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder
from tinyguard.graph import Graph
from tinyguard.operators import unsupported


def fully_connected(scale: object = 0.01, bias: int = 0, output_scale: float = 0.5, axis: int = 0) -> Graph:
    b = GraphBuilder()
    x = b.input((1, 4), "int8", 0.05, 3)
    weights = b.constant(np.full((2, 4), 127, np.int8), scale, axis=axis)
    inputs = [x, weights, b.constant(np.full(2, bias, np.int32), 0.0005)]
    b.node("FULLY_CONNECTED", inputs, (1, 2), "int8", output_scale, 0)
    return b.graph()


def pool(kernel: int, padding: str) -> Graph:
    b = GraphBuilder()
    x = b.input((1, 5, 5, 2), "int8", 0.05, 3)
    size: dict[str, Any] = {"filter_height": kernel, "filter_width": kernel, "stride_h": 9, "stride_w": 9}
    b.node("MAX_POOL_2D", [x], (1, 1, 1, 2), padding=padding, **size)
    return b.graph()


def bilinear(size: int, output: int) -> Graph:
    b = GraphBuilder()
    x = b.input((1, size, 1, 1), "int8", 0.05, 3)
    b.node("RESIZE_BILINEAR", [x, b.constant(np.array([output, 1], np.int32))], (1, output, 1, 1))
    return b.graph()


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (fully_connected(bias=2**31 - 1), "sums may exceed 32 bits"),
        (fully_connected(output_scale=1e-30), "output scale far below"),
        (fully_connected(scale=float("nan")), "scales that are not positive"),
        (fully_connected(scale=3e38, output_scale=1e-38), "output scale far below"),
        (fully_connected(scale=[0.1, 0.2], axis=1), "weight scales along axis 1"),
        (fully_connected(scale=[0.1, 0.2, 0.3]), "3 weight scales for 2 channels"),
        (pool(6, "VALID"), "a window larger than its input"),
        (pool(2**20, "SAME"), "elements after padding"),
        (bilinear(1, 70), "resize of 1 to 70"),
    ],
)
def test_one_reason_and_no_traceback(graph: Graph, words: str) -> None:
    (problem,) = unsupported(graph)
    assert words in problem


def test_what_fits_is_taken() -> None:
    for graph in (fully_connected(bias=2**30), pool(2**10, "SAME"), pool(5, "VALID"), bilinear(1, 60)):
        assert unsupported(graph) == []
