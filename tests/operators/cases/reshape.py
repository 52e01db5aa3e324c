# SPDX-License-Identifier: Apache-2.0
"""RESHAPE, SQUEEZE and EXPAND_DIMS between graph inputs and outputs, which must not share bytes wrongly."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_shape
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    b = GraphBuilder()
    shape = draw_shape(rng, int(rng.integers(1, 6)), largest=6)
    x = b.input(shape, dtype, rng=rng)
    operator = str(rng.choice(["RESHAPE", "SQUEEZE", "EXPAND_DIMS"]))
    if operator == "RESHAPE":
        elements = int(np.prod(shape))
        divisors = [n for n in range(1, elements + 1) if elements % n == 0]
        first = int(rng.choice(divisors))
        choices = [(elements,), (first, elements // first), (1, first, 1, elements // first)]
        target = choices[int(rng.integers(0, 3))]
        named = list(target)
        if rng.random() < 0.3:
            named[int(rng.integers(0, len(named)))] = -1
        inputs = [x, b.constant(np.array(named, np.int32))] if rng.random() < 0.7 else [x]
        b.node("RESHAPE", inputs, target, dtype, new_shape=named)
    elif operator == "SQUEEZE":
        ones = [i for i, n in enumerate(shape) if n == 1]
        dropped = sorted(rng.choice(ones, int(rng.integers(0, len(ones) + 1)), replace=False).tolist())
        gone = set(dropped or ones)
        target = tuple(n for i, n in enumerate(shape) if i not in gone)
        if rng.random() < 0.3:
            dropped = [i - len(shape) for i in dropped]
        b.node("SQUEEZE", [x], target, dtype, squeeze_dims=dropped)
    else:
        axis = int(rng.integers(0, len(shape) + 1))
        target = (*shape[:axis], 1, *shape[axis:])
        named_axis = axis if rng.random() < 0.5 else axis - len(target)
        b.node("EXPAND_DIMS", [x, b.constant(np.array(named_axis, np.int32))], target, dtype)
    return b.graph()
