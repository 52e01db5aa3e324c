"""What convolutions and fully connected layers share: int8 weights, bias, per-channel requantization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinyguard.arithmetic import fixed_point
from tinyguard.operators.base import Emission, Operator

if TYPE_CHECKING:
    import torch

FLOAT32_EXACT = 2**24  # integers up to here are exact in float32
FLOAT64_EXACT = 2**53


class Accumulating(Operator):
    """Base of the operators that sum int8 weights times codes and requantize per output channel.

    After `prepare_requantization`: `bias` (int64, one an output channel), `multipliers` (int32),
    `shifts` (int8), `low`, `high` (clamp), `wide` (the int16x8 rule on 64-bit accumulators).
    """

    bias: np.ndarray
    multipliers: np.ndarray
    shifts: np.ndarray
    low: int
    high: int
    wide: bool

    def prepare_requantization(self, weights_index: int, bias_index: int, channels: int) -> None:
        """Check weights and bias and compute one multiplier an output channel (QuantizeMultiplier)."""
        source, weights, output = self.input_tensor(0), self.input_tensor(weights_index), self.outputs[0]
        self.require_codes(source, output)
        self.require(weights.dtype == "int8", f"{weights.dtype} weights, int8 is needed")
        self.require(weights.quantization is not None, "weights without quantization")
        assert weights.quantization is not None
        scales = np.array(weights.quantization.scales, np.float32)
        self.require(len(scales) in (1, channels), f"{len(scales)} weight scales for {channels} channels")
        self.require(not any(weights.quantization.zero_points), "weights with a zero point")

        bias = self.inputs[bias_index] if bias_index < len(self.inputs) else None
        self.wide = source.dtype == "int16" and (bias is None or bias.dtype == "int64")
        if bias is None:
            self.bias = np.zeros(channels, np.int64)
        else:
            self.require(bias.dtype in ("int32", "int64"), f"{bias.dtype} bias")
            self.require(bias.shape == (channels,), f"bias of shape {bias.shape} for {channels} channels")
            self.bias = self.constant_input(bias_index).astype(np.int64)

        # TFLite: double(input scale) * double(weight scale) / double(output scale), from float32 scales.
        real = np.float64(np.float32(source.scale)) * scales.astype(np.float64)
        pairs = [fixed_point.quantize_multiplier(r / np.float64(np.float32(output.scale))) for r in real]
        pairs = pairs * (channels // len(pairs))
        self.multipliers = np.array([p.value for p in pairs], np.int32)
        self.shifts = np.array([p.shift for p in pairs], np.int8)
        limit = 14 if self.wide else 30
        self.require(max(self.shifts, default=0) <= limit, "output scale far below the accumulator's")
        self.low, self.high = self.activation_range(output)

    @property
    def clamp(self) -> tuple[int, int]:
        return self.low, self.high

    def requantize(self, accumulators: np.ndarray) -> np.ndarray:
        """Accumulators (..., channels), bias included, to output codes."""
        rule = (
            fixed_point.multiply_by_quantized_multiplier_int64
            if self.wide
            else fixed_point.multiply_by_quantized_multiplier
        )
        output = self.outputs[0]
        codes = rule(accumulators, self.multipliers.astype(np.int64), self.shifts) + output.zero_point
        return np.clip(codes, self.low, self.high).astype(output.dtype)

    def exact_dtype(self, weights: np.ndarray) -> Any:
        """torch dtype whose sums are exact: float32 while sum|w| * max|x - zero point| < 2**24."""
        import torch

        flat = np.abs(weights.reshape(weights.shape[0], -1).astype(np.int64)).sum(axis=1).max(initial=0)
        largest = 255 if self.input_tensor(0).dtype == "int8" else 32768
        return torch.float32 if flat * largest < FLOAT32_EXACT else torch.float64

    def requantize_torch(self, sums: torch.Tensor) -> torch.Tensor:
        """Sums (..., channels) without bias to float32 output codes, straight-through."""
        import torch

        from tinyguard.arithmetic import straight_through

        def constant(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(values.astype(np.int64)).to(sums.device)

        accumulators = sums.to(torch.float64) + constant(self.bias)
        return straight_through.requantize(
            accumulators,
            constant(self.multipliers),
            constant(self.shifts),
            self.outputs[0].zero_point,
            self.low,
            self.high,
            self.wide,
        )

    def emit_parameters(self, c: Emission) -> str:
        """Declare bias, multipliers and shifts; the three C names, comma separated."""
        bias = self.bias.astype(np.int64 if self.wide else np.int32)
        return ", ".join(
            (
                c.constant("bias", bias, "accumulator units"),
                c.constant("multipliers", self.multipliers, "times 2^(shift - 31)"),
                c.constant("shifts", self.shifts, "positive is to the left"),
            )
        )
