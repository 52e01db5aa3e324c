# SPDX-License-Identifier: Apache-2.0
"""Layers that take the paths of CMSIS-NN which random windows seldom reach."""

import numpy as np

from tests.operators.builder import ACTIVATIONS, GraphBuilder, draw_zero_point
from tests.operators.cases._sums import draw_sums
from tests.operators.cases_of import Case, make_case
from tinyguard.graph import Graph
from tinyguard.operators.families import window


def _convolution(
    rng: np.random.Generator,
    size: tuple[int, int],
    channels: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: str,
    operator: str,
) -> Graph:
    b = GraphBuilder()
    x = b.input((1, *size, channels[0]), "int8", rng=rng)
    axes = [window.axis(size[k], kernel[k], stride[k], 1, padding) for k in (0, 1)]
    depthwise = operator == "DEPTHWISE_CONV_2D"
    shape = (1, *kernel, channels[1]) if depthwise else (channels[1], *kernel, channels[0])
    sums = draw_sums(b, rng, x, shape, 3 if depthwise else 0, bias_dtypes=("int32", None))
    b.node(
        operator,
        [x, *sums.inputs],
        (1, axes[0].output, axes[1].output, channels[1]),
        "int8",
        sums.output_scale,
        draw_zero_point(rng, "int8"),
        padding=padding,
        stride_h=stride[0],
        stride_w=stride[1],
        dilation_h_factor=1,
        dilation_w_factor=1,
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
        **({"depth_multiplier": channels[1] // channels[0]} if depthwise else {}),
    )
    return b.graph()


def one_row(rng: np.random.Generator) -> Graph:
    """arm_convolve_1_x_n_s8: signals in time."""
    kernel, stride = int(rng.integers(1, 12)), int(rng.integers(1, 5))
    padding = str(rng.choice(["SAME", "VALID"]))
    least = kernel if padding == "VALID" else 1
    size = (1, least + int(rng.integers(0, 20)))
    channels = int(rng.choice([1, 2, 4, 8, 12])), int(rng.integers(1, 10))
    return _convolution(rng, size, channels, (1, kernel), (1, stride), padding, "CONV_2D")


def one_channel(rng: np.random.Generator) -> Graph:
    """Depthwise layers on one channel, which MVE turns into convolutions."""
    kernel = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    size = kernel[0] + int(rng.integers(0, 8)), kernel[1] + int(rng.integers(0, 8))
    if rng.random() < 0.3:
        kernel, size = (1, kernel[1]), (1, size[1])
    stride = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    channels = 1, int(rng.integers(1, 20))
    return _convolution(rng, size, channels, kernel, stride, "SAME", "DEPTHWISE_CONV_2D")


def many_channels(rng: np.random.Generator) -> Graph:
    """Depthwise layers beyond the 124 channels of a block, and of multipliers 4 and 8."""
    kernel = int(rng.choice([1, 3, 5])), int(rng.choice([1, 3, 5]))
    size = int(rng.integers(1, 7)), int(rng.integers(1, 7))
    depth = int(rng.integers(100, 280)) if rng.random() < 0.5 else int(rng.integers(1, 9))
    multiplier = 1 if depth > 99 else int(rng.choice([4, 8]))
    stride = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    channels = depth, depth * multiplier
    return _convolution(rng, size, channels, kernel, stride, "SAME", "DEPTHWISE_CONV_2D")


def same_shapes(rng: np.random.Generator) -> Graph:
    """ADD and MUL of equal shapes, of any length modulo the block."""
    b = GraphBuilder()
    shape = (1, int(rng.integers(1, 60)))
    x, y = (b.input(shape, "int8", rng=rng) for _ in range(2))
    a, c = b.tensors[x].scale, b.tensors[y].scale
    operator = str(rng.choice(["ADD", "MUL"]))
    scale = max(a, c) if operator == "ADD" else 128 * a * c
    b.node(
        operator,
        [x, y],
        shape,
        "int8",
        scale * 2.0 ** rng.uniform(-3, 3),
        draw_zero_point(rng, "int8"),
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
        **({"pot_scale_int16": False} if operator == "ADD" else {}),
    )
    return b.graph()


KINDS = {kind.__name__: kind for kind in (one_row, one_channel, many_channels, same_shapes)}


def drawn(kind: str, numbers: range) -> list[Case]:
    """Cases of one kind, the same every time."""
    cases = []
    for number in numbers:
        rng = np.random.default_rng([*kind.encode(), number])
        cases.append(make_case(f"case {kind} {number}", KINDS[kind](rng), rng))
    return cases
