# SPDX-License-Identifier: Apache-2.0
"""REDUCE_MAX: any axes, with and without keep_dims."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype
from tests.operators.cases._axes import draw_axes
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    a = draw_axes(rng)
    b = GraphBuilder()
    x = b.input(a.shape, dtype, rng=rng)
    b.node("REDUCE_MAX", [x, b.constant(a.axes)], a.output, dtype, keep_dims=a.keep_dims)
    return b.graph()
