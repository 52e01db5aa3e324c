# SPDX-License-Identifier: Apache-2.0
"""CONV_2D: kernels, strides, dilations, paddings, groups, per-tensor and per-channel weights."""

import numpy as np

from tests.operators.builder import ACTIVATIONS, GraphBuilder, activation_dtype, draw_zero_point
from tests.operators.cases._sums import draw_sums
from tests.operators.cases._windows import draw_windows
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    w = draw_windows(rng)
    depth, per_group = (int(n) for n in rng.integers(1, 12, 2))
    groups = int(rng.integers(2, 5)) if rng.random() < 0.2 else 1
    b = GraphBuilder()
    x = b.input((1, *w.size, depth * groups), dtype, rng=rng)
    bias_dtypes = ("int32",) * 9 if dtype == "int8" else ("int64",) * 6 + ("int32",) * 3
    weights = (per_group * groups, *w.kernel, depth)
    sums = draw_sums(b, rng, x, weights, bias_dtypes=(*bias_dtypes, None))
    b.node(
        "CONV_2D",
        [x, *sums.inputs],
        (1, *w.output, per_group * groups),
        dtype,
        sums.output_scale,
        draw_zero_point(rng, dtype),
        **w.options,
        **w.dilations,
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
        quantized_bias_type=sums.bias_type,
    )
    return b.graph()
