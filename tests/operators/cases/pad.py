# SPDX-License-Identifier: Apache-2.0
"""PAD and PADV2: any rank to 5, zero widths included."""

import numpy as np

from tests.operators.builder import CODE_RANGE, GraphBuilder, activation_dtype, draw_shape
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    b = GraphBuilder()
    rank = int(rng.choice([1, 2, 3, 4, 4, 5]))
    shape = draw_shape(rng, rank, largest=6)
    x = b.input(shape, dtype, rng=rng)
    scale, zero_point = b.quantization_of(x)
    widths = rng.integers(0, 4, (rank, 2)) * (rng.random((rank, 2)) < 0.6)
    inputs = [x, b.constant(widths.astype(rng.choice([np.int32, np.int64])))]
    operator = "PAD"
    if rng.random() < 0.5:
        operator = "PADV2"
        low, high = CODE_RANGE[dtype]
        value = np.array(rng.integers(low, high + 1)).astype(dtype)
        inputs.append(b.constant(value.reshape(() if rng.random() < 0.5 else (1,)), scale, zero_point))
    output = [n + int(w.sum()) for n, w in zip(shape, widths, strict=True)]
    b.node(operator, inputs, output, dtype, scale, zero_point)
    return b.graph()
