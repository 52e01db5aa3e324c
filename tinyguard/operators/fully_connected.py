# SPDX-License-Identifier: Apache-2.0
"""FULLY_CONNECTED. Source: TFLite `reference/integer_ops/fully_connected.h`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.graph import Tensor
from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families.accumulating import Accumulating


class FullyConnected(Accumulating):
    """Rows of input codes times (O, I) weights, per tensor or per channel; int8 and int16x8."""

    names: ClassVar = ("FULLY_CONNECTED",)

    def prepare(self) -> None:
        source, output, weights = self.input_tensor(0), self.outputs[0], self.input_tensor(1)
        self.require(len(weights.shape) == 2, f"weights of rank {len(weights.shape)}")
        self.channels, self.depth = weights.shape
        layout = self.option("weights_format", "DEFAULT")
        self.require(layout == "DEFAULT", f"weights format {layout}")
        self.require(
            self.depth > 0 and source.elements % self.depth == 0,
            f"input of shape {source.shape} in rows of {self.depth}",
        )
        self.batches = source.elements // self.depth
        expected: tuple[int, ...] = (self.batches, self.channels)
        if self.option("keep_num_dims", False):
            self.require(
                bool(source.shape) and source.shape[-1] == self.depth,
                f"input of shape {source.shape} for rows of {self.depth}",
            )
            expected = (*source.shape[:-1], self.channels)
        self.require(output.shape == expected, f"output of shape {output.shape}, expected {expected}")
        self.prepare_sums(0, 1, 2, channel_axis=0)

    def real_multipliers(self, source: Tensor, scales: np.ndarray, output: Tensor) -> np.ndarray:
        if len(scales) > 1:
            return super().real_multipliers(source, scales, output)
        with np.errstate(over="ignore"):  # an infinite product is refused
            product = np.float32(source.scale) * scales  # per tensor, TFLite multiplies in float32
        return np.asarray(product.astype(np.float64) / np.float64(np.float32(output.scale)))

    @property
    def macs(self) -> int:
        return self.batches * self.channels * self.depth

    def sums(self, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        centred = codes.reshape(-1, self.depth).astype(weights.dtype) - self.source.zero_point
        return np.asarray(centred @ weights.T)

    def emit(self, c: Emission) -> str:
        source = self.input_tensor(0)
        c.kernel("fully_connected.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        weights = c.constant("weights", self.weights, "output channel, input channel")
        parameters = self.emit_parameters(c)
        shape = c_shape(
            "tg_fully_connected_shape",
            batches=self.batches,
            input_channels=self.depth,
            output_channels=self.channels,
            **self.requantization_fields(source),
        )
        call = f"{c.input(0)}, {weights}, {parameters}, {c.output()}"
        return f"{shape}\ntg_fully_connected_{suffix}(&shape, {call});"
