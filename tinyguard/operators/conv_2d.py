"""CONV_2D. Source: TFLite `reference/integer_ops/conv.h`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tinyguard.operators import _window
from tinyguard.operators._accumulate import Accumulating
from tinyguard.operators.base import Emission, c_shape

if TYPE_CHECKING:
    import torch

_CHUNK_BYTES = 64 << 20  # patches are unfolded for so many samples at a time


class Conv2D(Accumulating):
    """NHWC input, OHWI weights; any stride, dilation and padding; int8 and int16x8."""

    names: ClassVar = ("CONV_2D",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require(len(source.shape) == 4, f"input of rank {len(source.shape)}")
        self.weights = self.constant_input(1)
        self.require(self.weights.ndim == 4, f"weights of rank {self.weights.ndim}")
        channels, kernel_height, kernel_width, depth = self.weights.shape
        self.require(depth == source.shape[3], f"{depth} weight channels on {source.shape[3]} input channels")
        padding = self.option("padding")
        self.rows = _window.axis(
            source.shape[1], kernel_height, self.option("stride_h"), self.option("dilation_h_factor"), padding
        )
        self.columns = _window.axis(
            source.shape[2], kernel_width, self.option("stride_w"), self.option("dilation_w_factor"), padding
        )
        expected = (source.shape[0], self.rows.output, self.columns.output, channels)
        self.require(output.shape == expected, f"output of shape {output.shape}, expected {expected}")
        self.prepare_requantization(1, 2, channels)

    @property
    def macs(self) -> int:
        return self.outputs[0].elements * int(np.prod(self.weights.shape[1:]))

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        source, output = self.input_tensor(0), self.outputs[0]
        images = x.reshape(-1, *source.shape[1:])
        matrix = self.weights.reshape(len(self.weights), -1).T.astype(np.float64)
        per_image = self.rows.output * self.columns.output * len(matrix) * 8
        step = max(1, _CHUNK_BYTES // max(1, per_image))
        parts = []
        for start in range(0, len(images), step):
            centred = images[start : start + step].astype(np.float64) - source.zero_point
            patches = _window.patches(
                _window.padded(centred, self.rows, self.columns, 0), self.rows, self.columns
            )
            sums = patches.reshape(-1, len(matrix)) @ matrix  # exact: integers below 2**53
            parts.append(self.requantize(sums.astype(np.int64) + self.bias))
        codes = np.concatenate(parts)
        return (codes.reshape(len(x), *output.shape),)

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        import torch
        from torch.nn import functional

        x = inputs[0]
        assert x is not None
        source, output = self.input_tensor(0), self.outputs[0]
        exact = self.exact_dtype(self.weights)
        weights = torch.from_numpy(self.weights).to(x.device, exact).permute(0, 3, 1, 2)
        images = (x.reshape(-1, *source.shape[1:]).to(exact) - source.zero_point).permute(0, 3, 1, 2)
        sides = (self.columns.before, self.columns.after, self.rows.before, self.rows.after)
        sums = functional.conv2d(
            functional.pad(images, sides) if any(sides) else images,
            weights.contiguous(memory_format=torch.channels_last),
            stride=(self.rows.stride, self.columns.stride),
            dilation=(self.rows.dilation, self.columns.dilation),
        )
        return (self.requantize_torch(sums.permute(0, 2, 3, 1)).reshape(len(x), *output.shape),)

    def emit(self, c: Emission) -> str:
        source, output = self.input_tensor(0), self.outputs[0]
        c.kernel("conv_2d.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        weights = c.constant("weights", self.weights, "output channel, row, column, input channel")
        parameters = self.emit_parameters(c)
        shape = c_shape(
            "tg_conv_2d_shape",
            batches=source.shape[0],
            input_height=source.shape[1],
            input_width=source.shape[2],
            input_channels=source.shape[3],
            output_height=output.shape[1],
            output_width=output.shape[2],
            output_channels=output.shape[3],
            kernel_height=self.rows.kernel,
            kernel_width=self.columns.kernel,
            stride_height=self.rows.stride,
            stride_width=self.columns.stride,
            dilation_height=self.rows.dilation,
            dilation_width=self.columns.dilation,
            pad_top=self.rows.before,
            pad_left=self.columns.before,
            input_offset=-source.zero_point,
            output_offset=output.zero_point,
            low=self.low,
            high=self.high,
        )
        return f"{shape}\ntg_conv_2d_{suffix}(&shape, {c.input(0)}, {weights}, {parameters}, {c.output()});"
