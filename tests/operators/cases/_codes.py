# SPDX-License-Identifier: Apache-2.0
"""A graph of one operator on single codes."""

from typing import Any

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_shape, draw_zero_point
from tinyguard.graph import Graph


def unary(
    operator: str,
    rng: np.random.Generator,
    scheme: str,
    ratio: tuple[float, float],
    scale: float | None = None,
    **options: Any,
) -> Graph:
    """Output scale = input scale * 2**uniform(*ratio), one time in five equal."""
    builder, dtype = GraphBuilder(), activation_dtype(scheme)
    shape = draw_shape(rng, int(rng.integers(1, 6)), 7)
    x = builder.input(shape, dtype, scale, rng=rng)
    factor = 2.0 ** rng.uniform(*ratio) if rng.random() < 0.8 else 1.0
    output = (builder.tensors[x].scale * factor, draw_zero_point(rng, dtype))
    builder.node(operator, [x], shape, dtype, *output, **options)
    return builder.graph()
