# SPDX-License-Identifier: Apache-2.0
"""Weights, bias and output scale of the operators that sum: convolutions and fully connected layers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.operators.builder import GraphBuilder, draw_scale, draw_weights

TYPICAL = {"int8": (74, 60), "int16": (19000, 9000)}  # spread of random input codes, of output codes
ENDS = {"int8": 255, "int16": 32768}  # largest |code - zero point|


@dataclass(frozen=True)
class Sums:
    """Tensor indices of weights and bias (None: no bias), and a scale for the output."""

    weights: int
    bias: int | None
    output_scale: float
    bias_type: str  # the option quantized_bias_type, which TF 2.19 reads an int16x8 bias by

    @property
    def inputs(self) -> list[int]:
        """Weights and bias, where there is one."""
        return [self.weights] if self.bias is None else [self.weights, self.bias]


def draw_sums(
    b: GraphBuilder,
    rng: np.random.Generator,
    source: int,
    shape: Sequence[int],
    channel_axis: int = 0,
    *,
    per_channel: bool | None = None,
    bias_dtypes: Sequence[str | None] = ("int32",),
) -> Sums:
    """Random parameters for weights of `shape`; `bias_dtypes` are drawn from, None being no bias.

    Most output scales fill the output's range; some saturate it, some leave it nearly constant, and
    none takes the sums beyond what the reference defines.
    """
    tensor = b.tensors[source]
    channels = shape[channel_axis]
    if per_channel is None:
        per_channel = bool(rng.random() < 0.7)
    scales = 10.0 ** rng.uniform(-3, -1, channels if per_channel else 1)
    weights = draw_weights(rng, shape)
    rows = np.moveaxis(weights, channel_axis, 0).reshape(channels, -1).astype(np.int64)
    spread, codes = TYPICAL[tensor.dtype]
    typical = max(1.0, np.sqrt(rows.shape[1])) * 45 * spread

    largest = float(np.abs(rows).sum(axis=1).max()) * ENDS[tensor.dtype]
    bias_dtype = bias_dtypes[int(rng.integers(len(bias_dtypes)))]
    bias = None
    if bias_dtype is not None:
        values = np.round(rng.normal(0, typical, channels)).astype(bias_dtype)
        largest += float(np.abs(values).max())
        bias = b.constant(values, np.float32(scales) * np.float32(tensor.scale))
    product = tensor.scale * float(np.median(scales))
    scale = product * typical / codes * 10.0 ** rng.uniform(-1, 1)
    if rng.random() < 0.1:
        scale = draw_scale(rng, tensor.dtype)
    least = tensor.scale * float(scales.max()) * largest * 2.0**-29
    kind = "INT32" if bias_dtype == "int32" and tensor.dtype == "int16" else "FLOAT32"
    return Sums(b.constant(weights, scales, axis=channel_axis), bias, max(scale, least), kind)
