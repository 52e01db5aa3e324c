# SPDX-License-Identifier: Apache-2.0
"""TRANSPOSE_CONV: kernels below, at and above the stride, paddings, optional bias."""

import numpy as np

from tests.operators.builder import ACTIVATIONS, GraphBuilder, activation_dtype, draw_zero_point
from tests.operators.cases._sums import draw_sums
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    padding = str(rng.choice(["SAME", "VALID"]))
    kernel, stride, size = rng.integers(1, 6, 2), rng.integers(1, 4, 2), rng.integers(1, 6, 2)
    reach = size * stride if padding == "SAME" else (size - 1) * stride + np.maximum(kernel, stride)
    if padding == "SAME":  # every output size that a convolution would bring back to the input's
        reach = reach - rng.integers(0, stride)
    depth, channels = (int(n) for n in rng.integers(1, 10, 2))
    shape = (1, int(reach[0]), int(reach[1]), channels)
    b = GraphBuilder()
    x = b.input((1, int(size[0]), int(size[1]), depth), dtype, rng=rng)
    bias_dtypes = ("int32", None) if dtype == "int8" else ("int64", None)
    weights = (channels, int(kernel[0]), int(kernel[1]), depth)
    sums = draw_sums(b, rng, x, weights, bias_dtypes=bias_dtypes)
    inputs = [b.constant(np.array(shape, np.int32)), sums.weights, x]
    b.node(
        "TRANSPOSE_CONV",
        inputs if sums.bias is None else [*inputs, sums.bias],
        shape,
        dtype,
        sums.output_scale,
        draw_zero_point(rng, dtype),
        padding=padding,
        stride_h=int(stride[0]),
        stride_w=int(stride[1]),
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
    )
    return b.graph()
