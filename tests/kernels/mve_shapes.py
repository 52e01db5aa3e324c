# SPDX-License-Identifier: Apache-2.0
"""Random layers for the MVE kernels: shapes at the edges of their blocks, beside those of tests/operators."""

from collections.abc import Callable

import numpy as np

from tests.operators.builder import ACTIVATIONS, GraphBuilder, draw_zero_point
from tests.operators.cases._sums import draw_sums
from tinyguard.graph import Graph
from tinyguard.operators.families import window


def _pair(rng: np.random.Generator, most: int) -> tuple[int, int]:
    a, b = rng.integers(1, most + 1, 2)
    return int(a), int(b)


def _channels(rng: np.random.Generator, most: int) -> int:
    """Often a multiple of 4 or 16, and any other number."""
    unit = int(rng.choice([1, 2, 4, 8, 16]))
    return max(1, int(rng.integers(1, most + 1)) // unit * unit)


def _windowed(
    rng: np.random.Generator,
    operator: str,
    size: tuple[int, int],
    kernel: tuple[int, int],
    channels: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Graph:
    padding = str(rng.choice(["SAME", "VALID"]))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padding == "VALID":
        size = max(size[0], reach[0]), max(size[1], reach[1])
    output = [window.axis(size[k], kernel[k], stride[k], dilation[k], padding).output for k in range(2)]
    b = GraphBuilder()
    x = b.input((1, *size, channels[0]), "int8", rng=rng)
    depthwise = operator == "DEPTHWISE_CONV_2D"
    shape = (1, *kernel, channels[1]) if depthwise else (channels[1], *kernel, channels[0])
    sums = draw_sums(b, rng, x, shape, 3 if depthwise else 0, bias_dtypes=("int32", "int32", None))
    options = {"depth_multiplier": channels[1] // channels[0]} if depthwise else {}
    b.node(
        operator,
        [x, *sums.inputs],
        (1, *output, channels[1]),
        "int8",
        sums.output_scale,
        draw_zero_point(rng),
        padding=padding,
        stride_h=stride[0],
        stride_w=stride[1],
        dilation_h_factor=dilation[0],
        dilation_w_factor=dilation[1],
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
        **options,
    )
    return b.graph()


def pointwise(rng: np.random.Generator) -> Graph:
    """1x1 on any number of pixels, at every depth up to 300 and strides up to 2."""
    channels = _channels(rng, 300 if rng.random() < 0.2 else 80), _channels(rng, 40)
    return _windowed(rng, "CONV_2D", _pair(rng, 9), (1, 1), channels, _pair(rng, 2))


def square(rng: np.random.Generator) -> Graph:
    """k x k on up to 40 channels."""
    channels = _channels(rng, 40), _channels(rng, 20)
    dilation = _pair(rng, 3) if rng.random() < 0.15 else (1, 1)
    return _windowed(rng, "CONV_2D", _pair(rng, 13), _pair(rng, 5), channels, _pair(rng, 3), dilation)


def first(rng: np.random.Generator) -> Graph:
    """1 to 4 input channels, wide images."""
    channels = int(rng.integers(1, 5)), _channels(rng, 20)
    return _windowed(rng, "CONV_2D", _pair(rng, 40), _pair(rng, 7), channels, _pair(rng, 2))


def audio(rng: np.random.Generator) -> Graph:
    """1-D kernels up to 15 along either axis."""
    length, taps, channels = int(rng.integers(1, 60)), int(rng.integers(1, 16)), _channels(rng, 24)
    size, kernel = ((length, 1), (taps, 1)) if rng.random() < 0.5 else ((1, length), (1, taps))
    if rng.random() < 0.5:
        return _windowed(rng, "DEPTHWISE_CONV_2D", size, kernel, (channels, channels), (1, 1))
    return _windowed(rng, "CONV_2D", size, kernel, (channels, _channels(rng, 24)), (1, 1))


def depthwise(rng: np.random.Generator) -> Graph:
    """Up to 16 taps and beyond, images wider than a gather reaches, strides and dilations."""
    channels = _channels(rng, 40)
    multiplier = int(rng.integers(1, 4)) if rng.random() < 0.15 else 1
    kernel = (3, 3) if rng.random() < 0.4 else _pair(rng, 20 if rng.random() < 0.1 else 5)
    wide = rng.random() < 0.3
    size = (int(rng.integers(1, 8)), int(rng.integers(20, 130))) if wide else _pair(rng, 14)
    dilation = _pair(rng, 3) if rng.random() < 0.15 else (1, 1)
    if rng.random() < 0.1:
        channels, multiplier = 1, int(rng.integers(1, 20))
    both = (min(channels, 8) if wide else channels,) * 2
    return _windowed(
        rng, "DEPTHWISE_CONV_2D", size, kernel, (both[0], both[1] * multiplier), _pair(rng, 2), dilation
    )


def fully_connected(rng: np.random.Generator) -> Graph:
    """Depths up to 300, one row or several."""
    depth, channels, rows = _channels(rng, 300), _channels(rng, 40), int(rng.choice([1, 1, 3]))
    b = GraphBuilder()
    x = b.input((1, rows, depth), "int8", rng=rng)
    sums = draw_sums(b, rng, x, (channels, depth), bias_dtypes=("int32", None))
    b.node(
        "FULLY_CONNECTED",
        [x, *sums.inputs],
        (1, rows, channels),
        "int8",
        sums.output_scale,
        draw_zero_point(rng),
        keep_num_dims=True,
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
    )
    return b.graph()


def mean(rng: np.random.Generator) -> Graph:
    """Over rows, columns or both, of any number of channels."""
    shape = (1, *_pair(rng, 12), _channels(rng, 60))
    axes = [(1, 2), (1,), (2,)][int(rng.integers(3))]
    b = GraphBuilder()
    x = b.input(shape, "int8", rng=rng)
    output = tuple(n for k, n in enumerate(shape) if k not in axes)
    scale = b.quantization_of(x)[0] * float(10 ** rng.uniform(-1, 0.3))
    b.node(
        "MEAN", [x, b.constant(np.array(axes))], output, "int8", scale, draw_zero_point(rng), keep_dims=False
    )
    return b.graph()


DRAWN: dict[str, Callable[[np.random.Generator], Graph]] = {
    "pointwise": pointwise,
    "square": square,
    "first": first,
    "audio": audio,
    "depthwise": depthwise,
    "fully_connected": fully_connected,
    "mean": mean,
}
