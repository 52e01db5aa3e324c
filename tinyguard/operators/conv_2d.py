"""CONV_2D. Source: TFLite `reference/integer_ops/conv.h`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families import window
from tinyguard.operators.families.accumulating import Accumulating

if TYPE_CHECKING:
    import torch

    from tinyguard.simulator.sums import AnyMap, InHalves, LinearMap

_CHUNK_BYTES = 64 << 20  # patches are unfolded for so many samples at a time


class Conv2D(Accumulating):
    """NHWC input, OHWI weights; any stride, dilation, padding and groups; int8 and int16x8."""

    names: ClassVar = ("CONV_2D",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require(len(source.shape) == 4, f"input of rank {len(source.shape)}")
        weights = self.input_tensor(1)
        self.require(len(weights.shape) == 4, f"weights of rank {len(weights.shape)}")
        channels, kernel_height, kernel_width, depth = weights.shape
        self.require(
            depth > 0 and source.shape[3] % depth == 0,
            f"{depth} weight channels on {source.shape[3]} input channels",
        )
        self.groups = source.shape[3] // depth
        self.require(channels % self.groups == 0, f"{channels} output channels in {self.groups} groups")
        self.rows, self.columns = window.axes(
            self,
            source.shape,
            (kernel_height, kernel_width),
            (self.option("dilation_h_factor", 1), self.option("dilation_w_factor", 1)),
        )
        expected = (source.shape[0], self.rows.output, self.columns.output, channels)
        self.require(output.shape == expected, f"output of shape {output.shape}, expected {expected}")
        self.prepare_sums(0, 1, 2, channel_axis=0)

    @property
    def macs(self) -> int:
        return self.outputs[0].elements * int(np.prod(self.weights.shape[1:]))

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        source, output = self.input_tensor(0), self.outputs[0]
        images = x.reshape(-1, *source.shape[1:])
        per_group = self.weights.reshape(self.groups, output.shape[3] // self.groups, -1)
        matrices = per_group.transpose(0, 2, 1).astype(self.float_type)  # (groups, taps, channels)
        per_image = self.rows.output * self.columns.output * per_group.shape[2] * self.groups * 8
        step = max(1, _CHUNK_BYTES // max(1, per_image))
        parts = []
        for start in range(0, len(images), step):
            centred = images[start : start + step].astype(self.float_type) - source.zero_point
            patches = window.patches(
                window.padded(centred, self.rows, self.columns, 0), self.rows, self.columns
            )
            grouped = patches.reshape(*patches.shape[:5], self.groups, -1)
            grouped = np.moveaxis(grouped, 5, 0).reshape(self.groups, -1, matrices.shape[1])
            sums = grouped @ matrices  # (groups, pixels, channels of the group)
            parts.append(self.requantize(sums.transpose(1, 0, 2).reshape(-1, output.shape[3])))
        return (np.concatenate(parts).reshape(len(x), *output.shape),)

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x = inputs[0]
        assert x is not None
        codes = self.codes_torch(x.reshape(-1, *self.input_tensor(0).shape[1:]))
        return (codes.reshape(len(x), *self.outputs[0].shape),)

    @property
    def takes_bytes(self) -> bool:
        import torch

        from tinyguard.simulator.convolutions import ByteConvolution

        return isinstance(self.prepared_map(torch.device("cpu")), ByteConvolution)

    @property
    def makes_bytes(self) -> bool:
        return self.sums_to_bytes

    def linear_map(self, device: torch.device) -> LinearMap:
        from tinyguard.simulator.convolutions import convolution

        weights, scaled, bias = self.torch_weights(0, device)
        zero_point = self.input_tensor(0).zero_point
        folded = self.folded_bias(bias, zero_point, 0)
        weights, scaled = weights.permute(0, 3, 1, 2), scaled.permute(0, 3, 1, 2)
        fits_bytes = self.source.dtype == "int8" or self.in_halves
        biases, axes = (bias, folded), (self.rows, self.columns)
        return convolution(weights, scaled, biases, zero_point, *axes, self.groups, fits_bytes)

    def quickest(self, linear: LinearMap | InHalves) -> AnyMap:
        from tinyguard.simulator.sums import in_pairs

        if self.groups > 1:
            return linear
        rows, columns = self.rows, self.columns
        windows = {
            "zero_point": self.input_tensor(0).zero_point,
            "input_height": rows.input,
            "input_width": columns.input,
            "output_height": rows.output,
            "output_width": columns.output,
            **window.fields(rows, columns),
            "dilation_height": rows.dilation,
            "dilation_width": columns.dilation,
            "padded_height": rows.padded,
            "padded_width": columns.padded,
        }
        return in_pairs(linear, self.weights, self._moving_bias, windows, self.requantization.largest)

    def emit(self, c: Emission) -> str:
        source, output = self.input_tensor(0), self.outputs[0]
        c.kernel("conv_2d.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        weights = c.constant("weights", self.weights, "output channel, row, column, input channel")
        parameters = self.emit_parameters(c)
        shape = c_shape(
            "tg_conv_2d_shape",
            batches=source.shape[0],
            groups=self.groups,
            input_height=source.shape[1],
            input_width=source.shape[2],
            input_channels=source.shape[3],
            output_height=output.shape[1],
            output_width=output.shape[2],
            output_channels=output.shape[3],
            **window.fields(self.rows, self.columns),
            dilation_height=self.rows.dilation,
            dilation_width=self.columns.dilation,
            **self.requantization_fields(source),
        )
        return f"{shape}\ntg_conv_2d_{suffix}(&shape, {c.input(0)}, {weights}, {parameters}, {c.output()});"
