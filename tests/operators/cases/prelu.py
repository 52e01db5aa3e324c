# SPDX-License-Identifier: Apache-2.0
"""PRELU: slopes per channel, per element, one for all, or computed."""

import numpy as np

from tests.operators.builder import GraphBuilder, draw_shape, draw_weights, draw_zero_point
from tinyguard.graph import Graph

SCHEMES = ("int8",)


def case(rng: np.random.Generator, scheme: str) -> Graph:
    del scheme
    builder = GraphBuilder()
    shape = draw_shape(rng, int(rng.integers(2, 5)), 8)
    x = builder.input(shape, rng=rng)
    alpha_shape = [shape, shape[-1:], (1,) * len(shape), (1, *shape[1:-1], 1)][int(rng.integers(0, 4))]
    scale, zero_point = 10.0 ** rng.uniform(-3, -1.5), draw_zero_point(rng)
    if rng.random() < 0.8:
        alpha = builder.constant(draw_weights(rng, alpha_shape, -128), scale, zero_point)
    else:
        alpha = builder.input((1,) * (len(shape) - len(alpha_shape)) + alpha_shape, "int8", scale, zero_point)
    output_scale = builder.tensors[x].scale * 2.0 ** rng.uniform(-4, 3)
    builder.node("PRELU", [x, alpha], shape, "int8", output_scale, draw_zero_point(rng))
    return builder.graph()
