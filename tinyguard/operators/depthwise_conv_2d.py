"""DEPTHWISE_CONV_2D. Source: TFLite `reference/integer_ops/depthwise_conv.h`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families import window
from tinyguard.operators.families.accumulating import Accumulating

if TYPE_CHECKING:
    import torch

    from tinyguard.simulator.sums import LinearMap

_CHUNK_BYTES = 64 << 20  # sums are held for so many samples at a time


class DepthwiseConv2D(Accumulating):
    """NHWC input, 1HWO weights with O = input channels * depth multiplier; int8 and int16x8."""

    names: ClassVar = ("DEPTHWISE_CONV_2D",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require(len(source.shape) == 4, f"input of rank {len(source.shape)}")
        weights = self.input_tensor(1)
        self.require(len(weights.shape) == 4 and weights.shape[0] == 1, f"weights of shape {weights.shape}")
        _, kernel_height, kernel_width, channels = weights.shape
        self.require(
            source.shape[3] > 0 and channels % source.shape[3] == 0,
            f"{channels} output channels of {source.shape[3]} input channels",
        )
        self.multiplier = channels // source.shape[3]
        self.rows, self.columns = window.axes(
            self,
            source.shape,
            (kernel_height, kernel_width),
            (self.option("dilation_h_factor", 1), self.option("dilation_w_factor", 1)),
        )
        expected = (source.shape[0], self.rows.output, self.columns.output, channels)
        self.require(output.shape == expected, f"output of shape {output.shape}, expected {expected}")
        self.prepare_sums(0, 1, 2, channel_axis=3)

    @property
    def macs(self) -> int:
        return self.outputs[0].elements * self.rows.kernel * self.columns.kernel

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        source, output = self.input_tensor(0), self.outputs[0]
        images = x.reshape(-1, *source.shape[1:])
        weights = self.weights[0].astype(self.float_type)
        step = max(1, _CHUNK_BYTES // max(1, output.elements // source.shape[0] * 8))
        parts = []
        for start in range(0, len(images), step):
            centred = images[start : start + step].astype(self.float_type) - source.zero_point
            padded = window.padded(centred, self.rows, self.columns, 0)
            sums = np.zeros((len(centred), *output.shape[1:]), self.float_type)
            for i in range(self.rows.kernel):
                for j in range(self.columns.kernel):
                    seen = padded[:, self.rows.taps(i), self.columns.taps(j), :]
                    sums += np.repeat(seen, self.multiplier, axis=3) * weights[i, j]
            parts.append(self.requantize(sums))
        return (np.concatenate(parts).reshape(len(x), *output.shape),)

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x = inputs[0]
        assert x is not None
        codes = self.codes_torch(x.reshape(-1, *self.input_tensor(0).shape[1:]))
        return (codes.reshape(len(x), *self.outputs[0].shape),)

    @property
    def makes_bytes(self) -> bool:
        return self.sums_to_bytes

    def linear_map(self, device: torch.device) -> LinearMap:
        from tinyguard.simulator.convolutions import convolution

        source = self.input_tensor(0)
        weights, scaled, bias = self.torch_weights(3, device)
        folded = self.folded_bias(bias, source.zero_point, 3)
        weights, scaled = weights.permute(3, 0, 1, 2), scaled.permute(3, 0, 1, 2)
        window = self.rows, self.columns, source.shape[3]
        return convolution(weights, scaled, (bias, folded), source.zero_point, *window)

    def emit(self, c: Emission) -> str:
        source, output = self.input_tensor(0), self.outputs[0]
        c.kernel("depthwise_conv_2d.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        weights = c.constant("weights", self.weights, "row, column, output channel")
        parameters = self.emit_parameters(c)
        shape = c_shape(
            "tg_depthwise_conv_2d_shape",
            batches=source.shape[0],
            input_height=source.shape[1],
            input_width=source.shape[2],
            input_channels=source.shape[3],
            output_height=output.shape[1],
            output_width=output.shape[2],
            depth_multiplier=self.multiplier,
            **window.fields(self.rows, self.columns),
            dilation_height=self.rows.dilation,
            dilation_width=self.columns.dilation,
            **self.requantization_fields(source),
        )
        call = f"{c.input(0)}, {weights}, {parameters}, {c.output()}"
        return f"{shape}\ntg_depthwise_conv_2d_{suffix}(&shape, {call});"
