# SPDX-License-Identifier: Apache-2.0
"""DEQUANTIZE at the output border."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_shape
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    builder = GraphBuilder()
    shape = draw_shape(rng, int(rng.integers(1, 5)), 8)
    x = builder.input(shape, activation_dtype(scheme), rng=rng)
    builder.node("DEQUANTIZE", [x], shape, "float32")
    return builder.graph()
