# SPDX-License-Identifier: Apache-2.0
"""TRANSPOSE: every permutation of ranks 1 to 6."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_shape
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    b = GraphBuilder()
    rank = int(rng.integers(1, 7))
    shape = draw_shape(rng, rank, largest=9 if rank < 4 else 4)
    x = b.input(shape, dtype, rng=rng)
    permutation = rng.permutation(rank)
    b.node(
        "TRANSPOSE",
        [x, b.constant(permutation.astype(np.int32))],
        [shape[p] for p in permutation],
        dtype,
    )
    return b.graph()
