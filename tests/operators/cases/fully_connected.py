# SPDX-License-Identifier: Apache-2.0
"""FULLY_CONNECTED: inputs of rank 1 to 4, with and without bias, per tensor and per channel."""

import numpy as np

from tests.operators.builder import ACTIVATIONS, GraphBuilder, activation_dtype, draw_shape, draw_zero_point
from tests.operators.cases._sums import draw_sums
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    keep = bool(rng.random() < 0.4)
    shape = draw_shape(rng, int(rng.integers(1, 5)), 7)
    if rng.random() < 0.3:
        shape = (1, int(rng.integers(1, 300)))
    depth = shape[-1] if keep or rng.random() < 0.5 else int(np.prod(shape))
    channels = int(rng.integers(1, 20))
    b = GraphBuilder()
    x = b.input(shape, dtype, rng=rng)
    bias_dtypes = ("int32", "int32", None) if dtype == "int8" else ("int64", "int64", "int32", None)
    sums = draw_sums(b, rng, x, (channels, depth), bias_dtypes=bias_dtypes)
    b.node(
        "FULLY_CONNECTED",
        [x, *(sums.inputs if sums.bias is not None else [sums.weights, -1])],
        (*shape[:-1], channels) if keep else (int(np.prod(shape)) // depth, channels),
        dtype,
        sums.output_scale,
        draw_zero_point(rng, dtype),
        keep_num_dims=keep,
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
        quantized_bias_type=sums.bias_type,
    )
    return b.graph()
