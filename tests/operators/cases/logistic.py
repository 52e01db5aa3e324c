# SPDX-License-Identifier: Apache-2.0
"""LOGISTIC and TANH, from nearly linear to saturated; int16 with general and power-of-two scales."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_shape
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    builder, dtype = GraphBuilder(), activation_dtype(scheme)
    operator = str(rng.choice(["LOGISTIC", "TANH"]))
    bits = 7 if scheme == "int8" else 15
    scale = 2.0 ** (rng.uniform(-4, 5) - bits)
    if dtype == "int16" and rng.random() < 0.3:
        scale = 2.0 ** float(rng.choice([-13, -12, -11]))
    shape = draw_shape(rng, int(rng.integers(1, 5)), 8)
    x = builder.input(shape, dtype, scale, rng=rng)
    output = (
        (2.0**-15, 0) if dtype == "int16" else (2.0**-8, -128) if operator == "LOGISTIC" else (2.0**-7, 0)
    )
    builder.node(operator, [x], shape, dtype, *output)
    return builder.graph()
