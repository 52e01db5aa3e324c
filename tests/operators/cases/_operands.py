# SPDX-License-Identifier: Apache-2.0
"""Two operands of an elementwise operator: broadcast shapes, and a constant on either side."""

import numpy as np

from tests.operators.builder import CODE_RANGE, GraphBuilder, activation_dtype, draw_scale, draw_zero_point

MAX_RANK = 5


def draw_shapes(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Shapes of both operands and of their broadcast: equal, per channel, scalar, or any mixture."""
    rank = int(rng.integers(1, MAX_RANK + 1))
    output = (1, *(int(n) for n in rng.integers(1, 6, rank - 1)))
    kind = rng.integers(0, 5)
    if kind == 0:
        a, b = output, output
    elif kind == 1:
        a, b = output, output[-1:]
    elif kind == 2:
        a, b = output, (1,) * int(rng.integers(1, rank + 1))
    else:
        drop = [rng.random(rank) < 0.35 for _ in range(2)]
        drop[1] &= ~drop[0]
        a, b = (tuple(1 if d else n for n, d in zip(output, dropped, strict=True)) for dropped in drop)
        keep = int(rng.integers(0, rank))  # leading ones may be left out
        b = b[keep:] if set(b[:keep]) <= {1} and b[keep:] else b
    return (b, a, output) if rng.random() < 0.4 else (a, b, output)


def add_operands(
    builder: GraphBuilder, rng: np.random.Generator, scheme: str, same_quantization: bool = False
) -> tuple[list[int], tuple[int, ...]]:
    """Tensors of both operands, one of them sometimes a constant, and the output's shape."""
    dtype = activation_dtype(scheme)
    a, b, output = draw_shapes(rng)
    constant = int(rng.choice([-1, 0, 1], p=[0.6, 0.15, 0.25]))
    scale, zero_point = draw_scale(rng, dtype), draw_zero_point(rng, dtype)
    found = []
    for k, shape in enumerate((a, b)):
        if not same_quantization:
            scale = float(np.float32(scale * 2.0 ** rng.uniform(-4, 4)))
            zero_point = draw_zero_point(rng, dtype)
        if k == constant:
            low, high = CODE_RANGE[dtype]
            codes = rng.integers(low, high + 1, shape).astype(dtype)
            found.append(builder.constant(codes, scale, zero_point))
        else:
            batch = () if shape[0] == 1 else (1,)  # inputs begin with the batch
            found.append(builder.input((*batch, *shape), dtype, scale, zero_point))
    return found, output
