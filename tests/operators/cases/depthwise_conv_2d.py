# SPDX-License-Identifier: Apache-2.0
"""DEPTHWISE_CONV_2D: depth multipliers up to 4, dilations, paddings, per-tensor and per-channel weights."""

import numpy as np

from tests.operators.builder import ACTIVATIONS, GraphBuilder, activation_dtype, draw_zero_point
from tests.operators.cases._sums import draw_sums
from tests.operators.cases._windows import draw_windows
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    w = draw_windows(rng)
    depth = int(rng.integers(1, 12))
    multiplier = int(rng.choice([1, 1, 2, 3, 4]))
    b = GraphBuilder()
    x = b.input((1, *w.size, depth), dtype, rng=rng)
    bias_dtypes = ("int32", None) if dtype == "int8" else ("int64",)
    sums = draw_sums(b, rng, x, (1, *w.kernel, depth * multiplier), 3, bias_dtypes=bias_dtypes)
    b.node(
        "DEPTHWISE_CONV_2D",
        [x, *sums.inputs],
        (1, *w.output, depth * multiplier),
        dtype,
        sums.output_scale,
        draw_zero_point(rng, dtype),
        **w.options,
        **w.dilations,
        depth_multiplier=multiplier,
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
    )
    return b.graph()
