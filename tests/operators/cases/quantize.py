# SPDX-License-Identifier: Apache-2.0
"""QUANTIZE from float32 at the input border, and between scales and code types."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_scale, draw_shape, draw_zero_point
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    builder, dtype = GraphBuilder(), activation_dtype(scheme)
    shape = draw_shape(rng, int(rng.integers(1, 5)), 8)
    if rng.random() < 0.4:
        x = builder.input(shape, "float32")
        builder.node("QUANTIZE", [x], shape, dtype, draw_scale(rng, dtype), draw_zero_point(rng, dtype))
        return builder.graph()
    x = builder.input(shape, dtype, rng=rng)
    to = "int8" if dtype == "int8" or rng.random() < 0.5 else "int16"
    factor = 2.0 ** rng.uniform(-4, 4) * (1 if to == dtype else 256)
    builder.node("QUANTIZE", [x], shape, to, builder.tensors[x].scale * factor, draw_zero_point(rng, to))
    return builder.graph()
