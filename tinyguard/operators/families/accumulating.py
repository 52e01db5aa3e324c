# SPDX-License-Identifier: Apache-2.0
"""What convolutions and fully connected layers share: int8 weights, bias, per-channel requantization."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import Any

import numpy as np

from tinyguard.arithmetic import fixed_point
from tinyguard.graph import Tensor
from tinyguard.operators.base import CODE_RANGE, Emission, Operator

FLOAT32_EXACT = 2**24  # integers up to here are exact in float32
_CHUNK_BYTES = 64 << 20  # sums are held for so many samples at a time


class Accumulating(Operator):
    """Base of the operators that sum int8 weights times codes and requantize per output channel.

    After `prepare_sums`: `source` (the codes' tensor, input `source_index`), `weights` (int8) with their
    `channel_axis`, `bias` (int64, one per output channel), `multipliers` (int32), `shifts` (int8), `low`,
    `high` (clamp), `wide` (the int16x8 rule on 64-bit accumulators), `least` and `most` (int64, bounds of
    each channel's partial sums without bias) and `exact_in_float32` (these are all below 2**24).
    """

    source: Tensor
    source_index: int
    channel_axis: int
    weights: np.ndarray
    bias: np.ndarray
    multipliers: np.ndarray
    shifts: np.ndarray
    low: int
    high: int
    wide: bool
    least: np.ndarray
    most: np.ndarray
    exact_in_float32: bool

    def prepare_sums(self, source_index: int, weights_index: int, bias_index: int, channel_axis: int) -> None:
        """Check codes, weights and bias; one multiplier per output channel; refuse sums that overflow."""
        source, tensor, output = (
            self.input_tensor(source_index),
            self.input_tensor(weights_index),
            self.outputs[0],
        )
        self.require_codes(source, output)
        self.require(tensor.dtype == "int8", f"{tensor.dtype} weights, int8 is needed")
        self.require(tensor.quantization is not None, "weights without quantization")
        assert tensor.quantization is not None
        self.weights = self.constant_input(weights_index)
        channels = self.weights.shape[channel_axis]
        self.require(self.weights.size > 0, f"weights of shape {self.weights.shape}")
        scales = np.array(tensor.quantization.scales, np.float32)
        self.require(len(scales) in (1, channels), f"{len(scales)} weight scales for {channels} channels")
        if len(scales) > 1:
            axis = tensor.quantization.axis
            self.require(axis == channel_axis, f"weight scales along axis {axis}, {channel_axis} is needed")
        self.require(not any(tensor.quantization.zero_points), "weights with a zero point")

        self._prepare_bias(source, bias_index, channels)
        self.require(output.scale > 0 and bool((scales >= 0).all()), "scales that are not positive")
        reals = self.real_multipliers(source, scales, output)
        self.require(bool((np.abs(reals) < 2.0**30).all()), "output scale far below the accumulator's")
        pairs = [fixed_point.quantize_multiplier(real) for real in reals]
        pairs = pairs * (channels // len(pairs))
        self.multipliers = np.array([p.value for p in pairs], np.int32)
        self.shifts = np.array([p.shift for p in pairs], np.int8)
        self.low, self.high = self.activation_range(output)
        self.source, self.source_index, self.channel_axis = source, source_index, channel_axis
        self._check_range(source, channel_axis)

    def real_multipliers(self, source: Tensor, scales: np.ndarray, output: Tensor) -> np.ndarray:
        """Input scale * weight scales / output scale, in doubles from float32 scales as TFLite has it."""
        products = np.float64(np.float32(source.scale)) * scales.astype(np.float64)
        return np.asarray(products / np.float64(np.float32(output.scale)))

    def _prepare_bias(self, source: Tensor, index: int, channels: int) -> None:
        bias = self.inputs[index] if index < len(self.inputs) else None
        if bias is None:
            self.bias = np.zeros(channels, np.int64)
            kind = "int32" if self.option("quantized_bias_type") == "INT32" else "int64"
        else:
            kinds = ("int32",) if source.dtype == "int8" else ("int32", "int64")
            self.require(bias.dtype in kinds, f"{bias.dtype} bias on {source.dtype} codes")
            self.require(bias.shape == (channels,), f"bias of shape {bias.shape} for {channels} channels")
            self.bias = self.constant_input(index).astype(np.int64)
            kind = bias.dtype
        self.wide = source.dtype == "int16" and kind == "int64"

    def _check_range(self, source: Tensor, channel_axis: int) -> None:
        """Refuse what the reference leaves undefined: partial sums or scaled sums beyond its registers."""
        low, high = (code - source.zero_point for code in CODE_RANGE[source.dtype])
        rows = np.moveaxis(self.weights, channel_axis, 0).reshape(len(self.bias), -1).astype(np.int64)
        positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
        self.most, self.least = positive * high + negative * low, positive * low + negative * high
        self.exact_in_float32 = bool(self._largest(np.zeros_like(self.bias)) < FLOAT32_EXACT)
        largest = np.maximum(self.most + np.maximum(self.bias, 0), -(self.least + np.minimum(self.bias, 0)))
        if self.wide:
            self.require(max(self.shifts, default=0) <= 14, "output scale far below the accumulator's")
            scaled = np.ldexp(largest.astype(np.float64), self.shifts.astype(np.int64))
            self.require(bool((largest < 2**47).all()), "sums may exceed 48 bits")
            self.require(bool((scaled < 2**31).all()), "scaled sums may exceed 32 bits")
        else:
            shifted = np.ldexp(largest.astype(np.float64), np.maximum(self.shifts, 0).astype(np.int64))
            self.require(bool((shifted < 2**31).all()), "sums may exceed 32 bits")

    @property
    def clamp(self) -> tuple[int, int]:
        return self.low, self.high

    @property
    def float_type(self) -> type[np.floating[Any]]:
        """The NumPy float type in which the sums are exact."""
        return np.float32 if self.exact_in_float32 else np.float64

    @abstractmethod
    def sums(self, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Sums (M, ..., channels) without bias of codes (M, *source.shape[1:]), zero point included.

        `weights`, float32 or float64, stand in place of the operator's: of their shape, in their layout. The
        sums are of their type; float64 takes codes that are not whole.
        """

    @property
    def bytes_per_sample(self) -> int:
        """What `sums` holds for a sample at a time, about."""
        return 8 * self.outputs[0].elements

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[self.source_index]
        assert x is not None
        codes, weights = x.reshape(-1, *self.source.shape[1:]), self.weights.astype(self.float_type)
        per_code = self.bytes_per_sample // self.source.shape[0] if self.source.shape else 1
        step = max(1, _CHUNK_BYTES // max(1, per_code))
        starts = range(0, max(1, len(codes)), step)
        parts = [self.requantize(self.sums(codes[start : start + step], weights)) for start in starts]
        return (np.concatenate(parts).reshape(len(x), *self.outputs[0].shape),)

    def requantize(self, sums: np.ndarray) -> np.ndarray:
        """Sums (..., channels) without bias, integers in any dtype, to output codes."""
        rule = (
            fixed_point.multiply_by_quantized_multiplier_int64
            if self.wide
            else fixed_point.multiply_by_quantized_multiplier
        )
        output = self.outputs[0]
        accumulators = sums.astype(np.int64) + self.bias
        codes = rule(accumulators, self.multipliers.astype(np.int64), self.shifts) + output.zero_point
        return np.clip(codes, self.low, self.high).astype(output.dtype)

    def _largest(self, bias: np.ndarray) -> int:
        """The bound of all partial sums that start or end with the bias."""
        above, below = self.most + np.maximum(bias, 0), self.least + np.minimum(bias, 0)
        return int(np.maximum(above, -below).max(initial=0))

    @functools.cached_property
    def constant_channels(self) -> np.ndarray:
        """Channels whose code never changes: those of dead channels, often with a huge bias."""
        return np.asarray(self.requantize(self.least) == self.requantize(self.most))

    @functools.cached_property
    def moving_bias(self) -> np.ndarray:
        """The bias, int64 (channels,), 0 in channels that are `constant_channels`."""
        return np.where(self.constant_channels, 0, self.bias)

    @functools.cached_property
    def largest_sum(self) -> int:
        """The bound of all partial sums, `moving_bias` included."""
        return self._largest(self.moving_bias)

    def requantization_fields(self, source: Tensor) -> dict[str, int]:
        """The last fields of every kernel's shape: offsets, clamp and the int16x8 rule."""
        return {
            "input_offset": -source.zero_point,
            "output_offset": self.outputs[0].zero_point,
            "low": self.low,
            "high": self.high,
            "wide": int(self.wide),
        }

    def emit_parameters(self, c: Emission) -> str:
        """Declare bias, multipliers and shifts; the three C names, comma separated.

        The bias is int32 for int8 codes and int64 for int16 codes.
        """
        bias = self.bias.astype(np.int32 if self.outputs[0].dtype == "int8" else np.int64)
        return ", ".join(
            (
                c.constant("bias", bias, "accumulator units"),
                c.constant("multipliers", self.multipliers, "times 2^(shift - 31)"),
                c.constant("shifts", self.shifts, "positive is to the left"),
            )
        )
