# SPDX-License-Identifier: Apache-2.0
"""Convolutions in torch, exact, and their gradients, as `sums` has them.

torch 2.13 on a CPU returns wrong sums and gradients for one channel with channels_last strides, a
stride and one column. So one input channel goes through a matrix, one output channel in plain NCHW.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from tinyguard.native import loops
from tinyguard.operators.families.window import Axis

_SAMPLES = 4  # that a convolution of bytes is compared on


@dataclass(frozen=True)
class Convolution:
    """A convolution of (M, H, W, C); `weights` and `scaled` (O, C / groups, KH, KW)."""

    weights: torch.Tensor
    scaled: torch.Tensor
    bias: torch.Tensor
    zero_point: int
    rows: Axis
    columns: Axis
    groups: int

    @property
    def _steps(self) -> tuple[tuple[int, int], tuple[int, int]]:
        axes = self.rows, self.columns
        return (axes[0].stride, axes[1].stride), (axes[0].dilation, axes[1].dilation)

    @property
    def _even_padding(self) -> tuple[int, int] | None:
        """The padding, alike on both ends of an axis, that gives the windows; None when there is none."""
        rests = [axis.input + 2 * axis.before - _reach(axis) for axis in (self.rows, self.columns)]
        even = 0 <= rests[0] < self.rows.stride and 0 <= rests[1] < self.columns.stride
        return (self.rows.before, self.columns.before) if even else None

    def sums(self, x: torch.Tensor) -> torch.Tensor:
        stride, dilation = self._steps
        padding = self._even_padding
        if padding is None:
            padded = _padded(x, self.zero_point, self.rows, self.columns, self.weights.dtype)
        else:
            padded = centred(x, self.zero_point, self.weights.dtype)
        images = padded.permute(0, 3, 1, 2)
        if len(self.weights) == 1:
            images = _plain(images)
        accumulators = functional.conv2d(
            images, self.weights, self.bias, stride, padding or 0, dilation, self.groups
        )
        return accumulators.permute(0, 2, 3, 1)

    def gradient(self, upstream: torch.Tensor) -> torch.Tensor:
        stride, dilation = self._steps
        padding = self._even_padding
        rows, columns = (
            (axis.padded if padding is None else axis.input + 2 * axis.before) - _reach(axis)
            for axis in (self.rows, self.columns)
        )
        images = upstream.to(self.scaled.dtype).permute(0, 3, 1, 2)
        if len(self.weights) == 1:
            images = _plain(images)
        of_images = functional.conv_transpose2d(
            images, self.scaled, None, stride, padding or 0, (rows, columns), self.groups, dilation
        ).permute(0, 2, 3, 1)
        return _inner(of_images, self.rows, self.columns) if padding is None else of_images


@dataclass(frozen=True)
class ByteConvolution(Convolution):
    """A convolution of codes as bytes, by the processor's dot products of bytes (VNNI), where it has them.

    These sum in 32 bits, and what they return in float32 is exact where a float32 convolution is. `packed`
    are the weights as oneDNN wants them, `ones` and `zeros` their scales and zero points. Instructions of
    older processors saturate; and none of this counts before `find` has compared it with the convolution.
    """

    packed: torch.Tensor
    ones: torch.Tensor
    zeros: torch.Tensor

    @classmethod
    def find(cls, plain: Convolution) -> ByteConvolution | None:
        """The same convolution on bytes; None where that cannot be, or where sums differ."""
        weights, (stride, dilation) = plain.weights, plain._steps
        usual = weights.dtype == torch.float32 and weights.device.type == "cpu" and len(weights) > 1
        if not (usual and plain.groups == 1 and has_dot_products()):
            return None
        ones = torch.ones(len(weights))
        zeros = torch.zeros(len(weights), dtype=torch.int64)
        padding = plain._even_padding or (0, 0)
        try:
            packed = torch.ops.onednn.qconv_prepack(
                weights.to(torch.int8), ones, 1.0, 0, stride, padding, dilation, plain.groups, None
            )
            fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
            candidate = cls(**fields, packed=packed, ones=ones, zeros=zeros)
            shape = _SAMPLES, plain.rows.input, plain.columns.input, weights.shape[1]
            codes = torch.from_numpy(np.random.default_rng(0).integers(-128, 128, shape, np.int8)).float()
            codes[0], codes[1] = -128, 127
            return candidate if torch.equal(candidate.sums(codes), plain.sums(codes)) else None
        except (AttributeError, RuntimeError, TypeError):  # another torch; the convolution serves too
            return None

    @property
    def plain(self) -> Convolution:
        """The same in float32."""
        return Convolution(*(getattr(self, field.name) for field in dataclasses.fields(Convolution)))

    def sums(self, x: torch.Tensor) -> torch.Tensor:
        """Sums of float32 codes, or of such codes as bytes."""
        if not len(x) or not (loops.are_bytes(x) or loops.serves(x)):
            return super().sums(x)
        return self.of_bytes(loops.as_bytes(x), self.zero_point + 128)

    def of_bytes(self, x: torch.Tensor, zero: int) -> torch.Tensor:
        """Sums of uint8 (M, H, W, C), `zero` being the byte of real 0."""
        (stride, dilation), padding = self._steps, self._even_padding
        if padding is None:
            edges = [(axis.before, axis.after) for axis in (self.columns, self.rows)]
            x = functional.pad(x, (0, 0, *edges[0], *edges[1]), value=zero)
        codes = torch.ops.onednn.qconv2d_pointwise(
            *(x.permute(0, 3, 1, 2), 1.0, zero),
            *(self.packed, self.ones, self.zeros, self.bias),
            *(stride, padding or (0, 0), dilation, self.groups),
            *(1.0, 0, torch.float32),
            *("none", [], ""),
        )
        return codes.permute(0, 2, 3, 1)


def has_dot_products() -> bool:
    """Whether this processor and torch have dot products of bytes that sum in 32 bits."""
    known = getattr(torch.cpu, "_is_vnni_supported", None)
    return known is not None and bool(known()) and torch.backends.mkldnn.is_available()


@dataclass(frozen=True)
class OneChannel:
    """A convolution of (M, H, W, 1) as a matrix: `weights` (taps, channels), `scaled` (channels, taps)."""

    weights: torch.Tensor
    scaled: torch.Tensor
    bias: torch.Tensor
    zero_point: int
    rows: Axis
    columns: Axis

    def sums(self, x: torch.Tensor) -> torch.Tensor:
        images = _padded(x, self.zero_point, self.rows, self.columns, self.weights.dtype)
        rows, columns = self.rows, self.columns
        n, h, w, _ = images.stride()
        patches = images.as_strided(
            (len(x), rows.output, columns.output, rows.kernel, columns.kernel),
            (n, h * rows.stride, w * columns.stride, h * rows.dilation, w * columns.dilation),
        )
        accumulators = torch.addmm(self.bias, patches.reshape(-1, len(self.weights)), self.weights)
        return accumulators.view(len(x), rows.output, columns.output, -1)

    def gradient(self, upstream: torch.Tensor) -> torch.Tensor:
        rows, columns = self.rows, self.columns
        taps = upstream.reshape(-1, len(self.scaled)).to(self.scaled.dtype) @ self.scaled
        of_images = functional.fold(
            taps.view(len(upstream), -1, taps.shape[1]).transpose(1, 2),
            (rows.padded, columns.padded),
            (rows.kernel, columns.kernel),
            (rows.dilation, columns.dilation),
            stride=(rows.stride, columns.stride),
        )
        return _inner(of_images.permute(0, 2, 3, 1), rows, columns)


def convolution(
    weights: torch.Tensor,
    scaled: torch.Tensor,
    biases: tuple[torch.Tensor, torch.Tensor | None],
    zero_point: int,
    rows: Axis,
    columns: Axis,
    groups: int,
    fits_bytes: bool = True,
) -> Convolution | OneChannel:
    """The convolution of weights (O, C / groups, KH, KW), in the form that is right and fast; `fits_bytes`:
    every code it gets has 8 bits.

    `biases` are those for codes without their zero point, and with it where that is exact too: so
    a convolution without padding needs no subtraction.
    """
    bias, folded = biases
    if folded is not None and (rows.padded, columns.padded) == (rows.input, columns.input):
        bias, zero_point = folded, 0
    if weights.shape[1] == groups == 1:
        matrix, back = weights.flatten(1).t().contiguous(), scaled.flatten(1).contiguous()
        return OneChannel(matrix, back, bias, zero_point, rows, columns)
    layout = torch.contiguous_format if len(weights) == 1 else torch.channels_last
    weights, scaled = (w.contiguous(memory_format=layout) for w in (weights, scaled))
    plain = Convolution(weights, scaled, bias, zero_point, rows, columns, groups)
    return (ByteConvolution.find(plain) if fits_bytes else None) or plain


@dataclass(frozen=True)
class Transposed:
    """A transposed convolution of (M, H, W, C); `weights` and `scaled` (C, O, KH, KW).

    `rows` and `columns` are the window over the output; `sides` are torch's pad of what all taps write,
    negative where it is cropped.
    """

    weights: torch.Tensor
    scaled: torch.Tensor
    bias: torch.Tensor
    zero_point: int
    rows: Axis
    columns: Axis
    sides: tuple[int, int, int, int]

    def sums(self, x: torch.Tensor) -> torch.Tensor:
        images = self._laid_out(centred(x, self.zero_point, self.weights.dtype).permute(0, 3, 1, 2))
        stride = self.rows.stride, self.columns.stride
        canvas = functional.conv_transpose2d(images, self.weights, stride=stride)
        return functional.pad(canvas, self.sides).permute(0, 2, 3, 1) + self.bias

    def gradient(self, upstream: torch.Tensor) -> torch.Tensor:
        images = upstream.to(self.scaled.dtype).permute(0, 3, 1, 2)
        images = self._laid_out(functional.pad(images, [-side for side in self.sides]))
        of_sums = functional.conv2d(images, self.scaled, stride=(self.rows.stride, self.columns.stride))
        return of_sums.permute(0, 2, 3, 1)

    def _laid_out(self, images: torch.Tensor) -> torch.Tensor:
        return _plain(images) if 1 in self.weights.shape[:2] else images


def _plain(images: torch.Tensor) -> torch.Tensor:
    """In NCHW, which the strides of a single channel alone would not say."""
    return images.clone(memory_format=torch.contiguous_format)


def _reach(axis: Axis) -> int:
    return (axis.output - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1


def centred(x: torch.Tensor, zero_point: int, dtype: torch.dtype) -> torch.Tensor:
    x = x.to(dtype)
    return x - zero_point if zero_point else x


def _padded(x: torch.Tensor, zero_point: int, rows: Axis, columns: Axis, dtype: torch.dtype) -> torch.Tensor:
    """x (M, H, W, C) without zero point, zeros around."""
    if rows.padded == rows.input and columns.padded == columns.input:
        return centred(x, zero_point, dtype).contiguous()
    around = x.new_zeros((len(x), rows.padded, columns.padded, x.shape[3]), dtype=dtype)
    torch.sub(x.to(dtype), zero_point, out=_inner(around, rows, columns))
    return around


def _inner(padded: torch.Tensor, rows: Axis, columns: Axis) -> torch.Tensor:
    return padded[:, rows.before : rows.before + rows.input, columns.before : columns.before + columns.input]
