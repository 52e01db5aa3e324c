# SPDX-License-Identifier: Apache-2.0
"""MEAN: any axes, with and without keep_dims, input and output scales alike and apart."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_zero_point
from tests.operators.cases._axes import draw_axes
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    a = draw_axes(rng)
    b = GraphBuilder()
    x = b.input(a.shape, dtype, rng=rng)
    scale, zero_point = b.tensors[x].scale, b.tensors[x].zero_point
    if rng.random() < 0.7:
        scale = scale * 10.0 ** rng.uniform(-1.2, 0.7)
    if rng.random() < 0.7:
        zero_point = draw_zero_point(rng, dtype)
    b.node("MEAN", [x, b.constant(a.axes)], a.output, dtype, scale, zero_point, keep_dims=a.keep_dims)
    return b.graph()
