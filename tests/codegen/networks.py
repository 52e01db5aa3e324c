# SPDX-License-Identifier: Apache-2.0
"""Small graphs that the code generation tests share."""

import numpy as np

from tests.operators.builder import GraphBuilder
from tinyguard.graph import Graph


def convolution(
    builder: GraphBuilder, rng: np.random.Generator, source: int, channels: int, activation: str = "RELU"
) -> int:
    """A 3x3 SAME convolution appended to the builder; its output tensor."""
    shape = builder.tensors[source].shape
    scales = rng.uniform(0.001, 0.01, channels)
    weights = rng.integers(-127, 128, (channels, 3, 3, shape[3])).astype(np.int8)
    bias = rng.integers(-1000, 1000, channels).astype(np.int32)
    return builder.node(
        "CONV_2D",
        [source, builder.constant(weights, scale=scales), builder.constant(bias, scale=scales)],
        (*shape[:3], channels),
        "int8",
        0.3,
        -3,
        padding="SAME",
        stride_w=1,
        stride_h=1,
        dilation_w_factor=1,
        dilation_h_factor=1,
        fused_activation_function=activation,
    )


def chain(seed: int = 0, size: int = 8, channels: tuple[int, ...] = (7, 5, 3)) -> Graph:
    """Convolutions one after the other."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    last = builder.input((1, size, size, 4), "int8", 0.05, 3)
    for count in channels:
        last = convolution(builder, rng, last, count)
    return builder.graph([last])
