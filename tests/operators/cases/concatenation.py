# SPDX-License-Identifier: Apache-2.0
"""CONCATENATION and PACK: any axis, negative ones included, computed and constant inputs, repeats."""

import numpy as np

from tests.operators.builder import CODE_RANGE, GraphBuilder, activation_dtype, draw_shape
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    packing = rng.random() < 0.35
    rank = int(rng.integers(1, 5))
    shape = list(draw_shape(rng, rank, largest=7))
    axis = int(rng.integers(0, rank + packing))
    count = int(rng.integers(1, 6))

    b = GraphBuilder()
    inputs = [b.input(shape, dtype, rng=rng)]
    scale, zero_point = b.quantization_of(inputs[0])
    for _ in range(count - 1):
        size = list(shape)
        if not packing and (axis or rng.random() < 0.3):
            size[axis] = int(rng.integers(1, 7))
        if rng.random() < 0.2:
            inputs.append(inputs[0])
        elif rng.random() < 0.3 or size[0] != 1:
            low, high = CODE_RANGE[dtype]
            inputs.append(b.constant(rng.integers(low, high + 1, size).astype(dtype), scale, zero_point))
        else:
            inputs.append(b.input(size, dtype, scale, zero_point))
    order = rng.permutation(len(inputs))
    inputs = [inputs[i] for i in order]
    shapes = [b.tensors[i].shape for i in inputs]
    if packing:
        output = [*shape[:axis], count, *shape[axis:]]
        named = axis if rng.random() < 0.5 else axis - len(output)
        b.node("PACK", inputs, output, dtype, scale, zero_point, values_count=count, axis=named)
        return b.graph()
    output = list(shape)
    output[axis] = sum(s[axis] for s in shapes)
    named = axis if rng.random() < 0.5 else axis - rank
    b.node("CONCATENATION", inputs, output, dtype, scale, zero_point, axis=named)
    return b.graph()
