# SPDX-License-Identifier: Apache-2.0
"""Convolutions and fully connected layers at the edges of the DSP blocks."""

import numpy as np

from tests.operators.builder import ACTIVATIONS, GraphBuilder, draw_zero_point
from tests.operators.cases._sums import draw_sums
from tinyguard.graph import Graph
from tinyguard.operators.families import window

_KERNELS = ((1, 1), (1, 1), (1, 1), (3, 3), (3, 3), (10, 4), (5, 1), (1, 5), (15, 1), (2, 2), (5, 5), (3, 2))
_DEPTHS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 32)
_CHANNELS = (1, 2, 3, 4, 5, 8, 9, 16, 19)


def convolution(rng: np.random.Generator) -> Graph:
    """One CONV_2D: any kernel of the networks we know, strides to 3, dilations now and then."""
    kernel = _KERNELS[int(rng.integers(len(_KERNELS)))]
    stride = tuple(int(n) for n in rng.choice([1, 1, 2, 3], 2))
    dilation = tuple(int(n) for n in rng.integers(1, 4, 2)) if rng.random() < 0.15 else (1, 1)
    padding = str(rng.choice(["SAME", "VALID"]))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = reach if padding == "VALID" else [1, 1]
    size = [int(n) + int(rng.integers(0, 14)) for n in least]
    if rng.random() < 0.15 and (padding == "SAME" or kernel[1] == 1):
        size[1] = 1
    output = [window.axis(size[k], kernel[k], stride[k], dilation[k], padding).output for k in (0, 1)]
    depth, channels = int(rng.choice(_DEPTHS)), int(rng.choice(_CHANNELS))
    b = GraphBuilder()
    x = b.input((1, *size, depth), "int8", rng=rng)
    sums = draw_sums(b, rng, x, (channels, *kernel, depth), bias_dtypes=("int32", "int32", None))
    b.node(
        "CONV_2D",
        [x, *sums.inputs],
        (1, *output, channels),
        "int8",
        sums.output_scale,
        draw_zero_point(rng),
        padding=padding,
        stride_h=stride[0],
        stride_w=stride[1],
        dilation_h_factor=dilation[0],
        dilation_w_factor=dilation[1],
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
        quantized_bias_type=sums.bias_type,
    )
    return b.graph()


def plain_3x3(rng: np.random.Generator) -> Graph:
    """One CONV_2D 3x3 of stride 1 with an even output and a depth of whole quads: Winograd's."""
    padding = str(rng.choice(["SAME", "VALID"]))
    output = [2 * int(n) for n in rng.integers(1, 12, 2)]
    size = [n + (2 if padding == "VALID" else 0) for n in output]
    depth, channels = 4 * int(rng.integers(1, 9)), 2 * int(rng.integers(1, 9))
    b = GraphBuilder()
    x = b.input((1, *size, depth), "int8", rng=rng)
    sums = draw_sums(b, rng, x, (channels, 3, 3, depth), bias_dtypes=("int32", "int32", None))
    b.node(
        "CONV_2D",
        [x, *sums.inputs],
        (1, *output, channels),
        "int8",
        sums.output_scale,
        draw_zero_point(rng),
        padding=padding,
        stride_h=1,
        stride_w=1,
        dilation_h_factor=1,
        dilation_w_factor=1,
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
        quantized_bias_type=sums.bias_type,
    )
    return b.graph()


def fully_connected(rng: np.random.Generator) -> Graph:
    """One FULLY_CONNECTED of up to 3 rows."""
    rows, depth, channels = int(rng.integers(1, 4)), int(rng.integers(1, 150)), int(rng.integers(1, 40))
    b = GraphBuilder()
    x = b.input((1, rows, depth), "int8", rng=rng) if rows > 1 else b.input((1, depth), "int8", rng=rng)
    sums = draw_sums(b, rng, x, (channels, depth), per_channel=False, bias_dtypes=("int32", "int32", None))
    b.node(
        "FULLY_CONNECTED",
        [x, *sums.inputs],
        (1, rows, channels) if rows > 1 else (1, channels),
        "int8",
        sums.output_scale,
        draw_zero_point(rng),
        keep_num_dims=rows > 1,
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
        quantized_bias_type=sums.bias_type,
    )
    return b.graph()
