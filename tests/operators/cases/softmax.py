# SPDX-License-Identifier: Apache-2.0
"""SOFTMAX over 1 to 500 values, from flat to one-hot, with any beta.

TF's int8 kernel ends the process where exponentials add up to 512 or more.
"""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_shape
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    builder, dtype = GraphBuilder(), activation_dtype(scheme)
    depth = int(rng.integers(1, 20)) if rng.random() < 0.85 else int(rng.integers(20, 501))
    shape = (*draw_shape(rng, int(rng.integers(1, 4)), 4), depth)
    bits = 7 if dtype == "int8" else 15
    x = builder.input(shape, dtype, 2.0 ** (rng.uniform(-3, 6) - bits), rng=rng)
    beta = 1.0 if rng.random() < 0.6 else float(rng.uniform(0.1, 3))
    output = (2.0**-8, -128) if dtype == "int8" else (2.0**-15, 0)
    builder.node("SOFTMAX", [x], shape, dtype, *output, beta=beta)
    return builder.graph()
