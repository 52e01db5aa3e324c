"""What convolutions and fully connected layers share: int8 weights, bias, per-channel requantization."""

from __future__ import annotations

import functools
from abc import abstractmethod
from copy import copy
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinyguard.arithmetic import fixed_point
from tinyguard.graph import Tensor
from tinyguard.operators.base import CODE_RANGE, Emission, Operator
from tinyguard.simulator.requantization import Requantization

if TYPE_CHECKING:
    import torch

    from tinyguard.simulator.sums import AnyMap, InHalves, LinearMap

FLOAT32_EXACT = 2**24  # integers up to here are exact in float32


class Accumulating(Operator):
    """Base of the operators that sum int8 weights times codes and requantize per output channel.

    After `prepare_sums`: `source` (the codes' tensor), `weights` (int8) with their `channel_axis`, `bias`
    (int64, one an output channel), `multipliers` (int32), `shifts` (int8), `low`, `high` (clamp), `wide`
    (the int16x8 rule on 64-bit accumulators), `least` and `most` (int64, bounds of each channel's partial
    sums without bias) and `exact_in_float32` (these are all below 2**24).
    """

    source: Tensor
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
        """Check codes, weights and bias; one multiplier an output channel; refuse sums that overflow."""
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
        self._maps: dict[tuple[torch.device, torch.dtype], AnyMap] = {}
        self.source, self.channel_axis = source, channel_axis
        self._check_range(source, channel_axis)

    def with_weights(self, weights: np.ndarray, bias: np.ndarray) -> Self:
        """The same operator on other `weights` (int8) and `bias` (int64), shapes and scales as they are.

        Raises Unsupported where sums may overflow.
        """
        twin = copy(self)
        for name in ("settled", "_moving_bias", "requantization", "in_halves", "gives_bytes"):
            twin.__dict__.pop(name, None)
        twin.weights, twin.bias, twin._maps = weights, bias, {}
        twin._check_range(self.source, self.channel_axis)
        return twin

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
    def settled(self) -> np.ndarray:
        """Channels whose code never changes: those of dead channels, often with a huge bias."""
        return np.asarray(self.requantize(self.least) == self.requantize(self.most))

    @functools.cached_property
    def _moving_bias(self) -> np.ndarray:
        return np.where(self.settled, 0, self.bias)

    @functools.cached_property
    def requantization(self) -> Requantization:
        """The rule from torch's accumulators, bias included, to codes."""
        settled, zero_point = self.settled, self.outputs[0].zero_point
        return Requantization(
            np.where(settled, 0, self.multipliers).astype(np.int64),
            np.where(settled, 0, self.shifts).astype(np.int64),
            np.where(settled, self.requantize(self.least), zero_point).astype(np.int64),
            zero_point,
            self.low,
            self.high,
            self.wide,
            self._largest(self._moving_bias),
        )

    @property
    def _whole_in_float32(self) -> bool:
        return self.exact_in_float32 and self.requantization.largest < FLOAT32_EXACT

    @functools.cached_property
    def in_halves(self) -> bool:
        """Whether torch sums the upper and the lower half of int16 codes, which is exact in float32."""
        if self.outputs[0].dtype != "int16" or self._whole_in_float32:
            return False
        low, high = CODE_RANGE["int16"]
        halves = (self.most - self.least) // (high - low) * 128 + np.abs(self._moving_bias) // 256 + 1
        return bool((halves < FLOAT32_EXACT).all())

    @property
    def torch_dtype(self) -> torch.dtype:
        """The torch dtype in which the sums, bias included, are exact: those of halves, `in_halves`."""
        import torch

        return torch.float32 if self._whole_in_float32 or self.in_halves else torch.float64

    @abstractmethod
    def linear_map(self, device: torch.device) -> LinearMap:
        """The weighted sums in torch, in `torch_dtype`."""

    def codes_torch(self, x: torch.Tensor) -> torch.Tensor:
        """float32 output codes (M, ..., channels) of codes as the linear map takes them."""
        from tinyguard.simulator import sums

        return sums.requantized(x, self.prepared_map(x.device), self.requantization, self.leak)

    @property
    def sums_to_bytes(self) -> bool:
        """Whether the loops in C make bytes of the sums, and convolutions are quick on such bytes."""
        import torch

        from tinyguard.native import loops
        from tinyguard.simulator.convolutions import has_dot_products

        int8, whole = self.outputs[0].dtype == "int8", self.torch_dtype == torch.float32
        in_c = self.requantization.in_c is not None and loops.serves()
        return int8 and whole and in_c and has_dot_products()

    def answer(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        from tinyguard.simulator import sums

        if not self.gives_bytes:
            return self.forward(*inputs) if self.takes_bytes else super().answer(*inputs)
        x = inputs[0]
        assert x is not None
        images = x.reshape(-1, *self.source.shape[1:])
        codes = sums.requantized_bytes(images, self.prepared_map(x.device), self.requantization)
        return (codes.reshape(len(x), *self.outputs[0].shape),)

    def prepared_map(self, device: torch.device) -> AnyMap:
        """`linear_map`, that of both halves of int16 codes, or one in pairs, kept for the next call."""
        import torch

        from tinyguard.simulator import sums

        key = device, self.torch_dtype
        if key not in self._maps:
            with torch.inference_mode(False):  # they may serve outside of that mode next
                linear = self.linear_map(device)
                whole = sums.in_halves(linear, self._moving_bias) if self.in_halves else linear
                self._maps[key] = self.quickest(whole) if device.type == "cpu" else whole
        return self._maps[key]

    def quickest(self, linear: LinearMap | InHalves) -> AnyMap:
        """The same map, in another form where this processor sums quicker so."""
        return linear

    def torch_weights(
        self, channel_axis: int, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Weights in their own layout, the same times each channel's real factor, and the bias.

        Gradients are not exact: those of int16 codes are float32 even where the sums are not.
        """
        import torch

        shape = [1] * self.weights.ndim
        shape[channel_axis] = -1
        scaled = self.weights * self.requantization.real.reshape(shape)

        def tensor(values: np.ndarray, dtype: torch.dtype = self.torch_dtype) -> torch.Tensor:
            return torch.from_numpy(values.astype(np.float64)).to(device, dtype)

        back = torch.float32 if self.outputs[0].dtype == "int16" else self.torch_dtype
        return tensor(self.weights), tensor(scaled, back), tensor(self._moving_bias)

    def folded_bias(self, bias: torch.Tensor, zero_point: int, channel_axis: int) -> torch.Tensor | None:
        """The bias for sums of codes with their zero point; None where those might not be exact."""
        import torch

        rows = np.moveaxis(self.weights, channel_axis, 0).reshape(len(self.bias), -1).astype(np.int64)
        folded = self._moving_bias - zero_point * rows.sum(axis=1)
        widest = -CODE_RANGE[self.outputs[0].dtype][0]
        largest = int((np.abs(rows).sum(axis=1) * widest + np.abs(folded)).max(initial=0))
        if largest >= (FLOAT32_EXACT if self.torch_dtype == torch.float32 else 2**53):
            return None
        return torch.from_numpy(folded).to(bias.device, bias.dtype)

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
