# SPDX-License-Identifier: Apache-2.0
"""SPLIT, SPLIT_V and UNPACK: several outputs of one quantization, not all of them used."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_shape
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    b = GraphBuilder()
    operator = str(rng.choice(["SPLIT", "SPLIT_V", "UNPACK"]))
    rank = int(rng.integers(2, 5))
    shape = list(draw_shape(rng, rank, largest=5))
    axis = int(rng.integers(1, rank))
    parts = int(rng.integers(1, 5))
    named = np.array(axis if rng.random() < 0.5 else axis - rank, np.int32)

    def part(size: int) -> list[int]:
        return [*shape[:axis], size, *shape[axis + 1 :]]

    if operator == "SPLIT":
        size = shape[axis]
        shape[axis] *= parts
        x = b.input(shape, dtype, rng=rng)
        inputs = [b.constant(named), x]
        outputs = b.node_with_outputs(
            "SPLIT", inputs, [part(size)] * parts, dtype, *b.quantization_of(x), num_splits=parts
        )
    elif operator == "SPLIT_V":
        sizes = rng.integers(1, 5, parts)
        shape[axis] = int(sizes.sum())
        x = b.input(shape, dtype, rng=rng)
        said = sizes.copy()
        if rng.random() < 0.3:
            said[int(rng.integers(0, parts))] = -1
        inputs = [x, b.constant(said.astype(np.int32)), b.constant(named)]
        outputs = b.node_with_outputs(
            "SPLIT_V", inputs, [part(int(n)) for n in sizes], dtype, *b.quantization_of(x), num_splits=parts
        )
    else:
        shape[axis] = parts
        x = b.input(shape, dtype, rng=rng)
        piece = [*shape[:axis], *shape[axis + 1 :]]
        outputs = b.node_with_outputs(
            "UNPACK", [x], [piece] * parts, dtype, *b.quantization_of(x), num=parts, axis=int(named)
        )
    used = [o for o in outputs if rng.random() < 0.7] or outputs[:1]
    return b.graph(used)
