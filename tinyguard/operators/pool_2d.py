# SPDX-License-Identifier: Apache-2.0
"""AVERAGE_POOL_2D and MAX_POOL_2D. Source: TFLite `reference/integer_ops/pooling.h`."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from tinyguard.operators.base import CODE_RANGE, Emission, Operator, c_shape
from tinyguard.operators.families import window

_SCALE_TOLERANCE = 1e-6  # TFLite's, absolute


class Pool2D(Operator):
    """NHWC input; windows count only what lies inside the input; int8 and int16."""

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_codes(source, output)
        self.require(len(source.shape) == 4, f"input of rank {len(source.shape)}")
        apart = abs(float(np.float32(source.scale) - np.float32(output.scale)))
        self.require(
            apart <= _SCALE_TOLERANCE and source.zero_point == output.zero_point,
            "input and output quantized differently",
        )
        kernel = (self.option("filter_height", 1), self.option("filter_width", 1))
        self.rows, self.columns = window.axes(self, source.shape, kernel, (1, 1))
        expected = (source.shape[0], self.rows.output, self.columns.output, source.shape[3])
        self.require(output.shape == expected, f"output of shape {output.shape}, expected {expected}")
        self.low, self.high = self.activation_range(output)

    @property
    def clamp(self) -> tuple[int, int]:
        return self.low, self.high

    @abstractmethod
    def pool(self, x: np.ndarray) -> np.ndarray:
        """Codes (N, OH, OW, C) in int64 before clamping, of codes (N, H, W, C)."""

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        output = self.outputs[0]
        pooled = self.pool(x.reshape(-1, *self.input_tensor(0).shape[1:]))
        codes = np.clip(pooled, self.low, self.high).astype(output.dtype)
        return (codes.reshape(len(x), *output.shape),)

    def emit(self, c: Emission) -> str:
        source, output = self.input_tensor(0), self.outputs[0]
        kernel = self.names[0].lower()
        c.kernel(f"{kernel}.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        shape = c_shape(
            "tg_pool_2d_shape",
            batches=source.shape[0],
            input_height=source.shape[1],
            input_width=source.shape[2],
            channels=source.shape[3],
            output_height=output.shape[1],
            output_width=output.shape[2],
            **window.fields(self.rows, self.columns),
            low=self.low,
            high=self.high,
        )
        return f"{shape}\ntg_{kernel}_{suffix}(&shape, {c.input(0)}, {c.output()});"


class AveragePool2D(Pool2D):
    """The mean of each window, rounded to nearest with ties away from zero."""

    names: ClassVar = ("AVERAGE_POOL_2D",)

    @property
    def counts(self) -> np.ndarray:
        """Input elements in each window, int64 (OH, OW, 1)."""
        return np.outer(self.rows.inside(), self.columns.inside())[:, :, None]

    def pool(self, x: np.ndarray) -> np.ndarray:
        padded = window.padded(x.astype(np.int64), self.rows, self.columns, 0)
        sums = window.patches(padded, self.rows, self.columns).sum(axis=(3, 4))
        counts = self.counts
        return np.asarray(np.sign(sums) * ((np.abs(sums) + counts // 2) // counts))


class MaxPool2D(Pool2D):
    """The largest code of each window."""

    names: ClassVar = ("MAX_POOL_2D",)

    def pool(self, x: np.ndarray) -> np.ndarray:
        lowest = CODE_RANGE[self.outputs[0].dtype][0]
        padded = window.padded(x.astype(np.int64), self.rows, self.columns, lowest)
        return np.asarray(window.patches(padded, self.rows, self.columns).max(axis=(3, 4)))
