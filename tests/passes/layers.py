# SPDX-License-Identifier: Apache-2.0
"""Small layers with weights that a test gives."""

from collections.abc import Sequence

import numpy as np

from tests.operators.builder import GraphBuilder
from tinyguard.operators.families import window

SCALE = 0.02


def convolution(
    b: GraphBuilder,
    source: int,
    weights: np.ndarray,
    bias: Sequence[int] | np.ndarray | None = None,
    *,
    zero_point: int = -128,
    padding: str = "SAME",
    stride: int = 1,
    activation: str = "RELU",
    scale: float = SCALE,
    is_depthwise: bool = False,
) -> int:
    """CONV_2D of OHWI weights, or DEPTHWISE_CONV_2D of 1HWO weights; one weight scale per channel."""
    x = b.tensors[source]
    axis = 3 if is_depthwise else 0
    channels = weights.shape[axis]
    rows, columns = (
        window.axis(n, k, stride, 1, padding) for n, k in zip(x.shape[1:3], weights.shape[1:3], strict=True)
    )
    scales = np.linspace(0.001, 0.004, channels).astype(np.float32)
    inputs = [source, b.constant(weights.astype(np.int8), scales, axis=axis)]
    if bias is not None:
        kind = np.int32 if x.dtype == "int8" else np.int64
        inputs.append(b.constant(np.asarray(bias, kind), scales * np.float32(x.scale)))
    options: dict[str, object] = {"padding": padding, "stride_h": stride, "stride_w": stride}
    options |= {"dilation_h_factor": 1, "dilation_w_factor": 1, "fused_activation_function": activation}
    if is_depthwise:
        options["depth_multiplier"] = channels // x.shape[3]
    operator = "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D"
    shape = (1, rows.output, columns.output, channels)
    return b.node(operator, inputs, shape, x.dtype, scale, zero_point, **options)


def depthwise(
    b: GraphBuilder, source: int, weights: np.ndarray, bias: Sequence[int], **others: object
) -> int:
    """DEPTHWISE_CONV_2D of 1HWO weights."""
    return convolution(b, source, weights, bias, is_depthwise=True, **others)  # type: ignore[arg-type]


def dense(
    b: GraphBuilder, source: int, weights: np.ndarray, bias: Sequence[int], per_channel: bool = False
) -> int:
    """FULLY_CONNECTED of (O, I) weights."""
    scale = np.linspace(0.001, 0.002, len(weights)).astype(np.float32) if per_channel else np.float32(0.002)
    x = b.tensors[source]
    inputs = [source, b.constant(weights.astype(np.int8), scale)]
    inputs.append(b.constant(np.asarray(bias, np.int32), scale * np.float32(x.scale)))
    shape = (x.elements // weights.shape[1], len(weights))
    return b.node("FULLY_CONNECTED", inputs, shape, "int8", 0.05, 3, fused_activation_function="NONE")


def weights(*shape: int, without: Sequence[int] = (), axis: int = 0) -> np.ndarray:
    """Random int8 weights, the same for one shape; zero along `axis` where `without` says, nowhere else."""
    rng = np.random.default_rng(shape)
    values = rng.integers(1, 128, shape) * rng.choice([-1, 1], shape)
    np.moveaxis(values, axis, 0)[list(without)] = 0
    return values.astype(np.int8)
