# SPDX-License-Identifier: Apache-2.0
"""HARD_SWISH. Source: TFLite `reference/hard_swish.h`, `kernels/activations.cc`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic import fixed_point
from tinyguard.operators.families.unary import Unary


class HardSwish(Unary):
    """x * min(max(x + 3, 0), 6) / 6 in 16-bit fixed point; int8."""

    names: ClassVar = ("HARD_SWISH",)

    def prepare(self) -> None:
        self.prepare_unary()
        source, output = self.input_tensor(0), self.outputs[0]
        self.require(source.dtype == "int8", f"{source.dtype}, int8 is needed")
        # TFLite computes in float32: 128 steps per code keep the high bits of 16.
        fine_scale = np.float32(1 / 128) * np.float32(source.scale)
        relu_scale = np.float32(3) / np.float32(32768)
        self.output_multiplier = _multiplier_16(float(fine_scale / np.float32(output.scale)))
        self.relu_multiplier = _multiplier_16(float(fine_scale / relu_scale))
        self.require(
            -15 <= self.output_multiplier[1] <= 0, f"output scale {output.scale:g} far from the input's"
        )
        self.require(-15 <= self.relu_multiplier[1] <= 15, f"input scale {source.scale:g} out of reach")
        self.prepare_table()

    def function(self, codes: np.ndarray) -> np.ndarray:
        fine = (codes.astype(np.int64) - self.input_tensor(0).zero_point) << 7
        value, exponent = self.output_multiplier
        on_output_scale = _multiply_16(fine, value)
        preshift = _multiply_16_to_zero(self._gate(fine), on_output_scale)
        output = fixed_point.rounding_divide_by_pot(preshift, -exponent) + self.outputs[0].zero_point
        return np.clip(output, -128, 127)

    def _gate(self, fine: np.ndarray) -> np.ndarray:
        """(x + 3) / 6 within [0, 1] in Q0.15, saturating only where TFLite does."""
        value, exponent = self.relu_multiplier
        gate = fine
        if exponent > 0:
            gate = np.clip(gate << (exponent - 1), -32768, 32767)
        gate = _multiply_16(gate, value)
        if exponent > 0:
            gate = np.clip(gate << 1, -32768, 32767)
        if exponent < 0:
            gate = fixed_point.rounding_divide_by_pot(gate, -exponent)
        return (gate + (1 << 15)) >> 1


def _multiplier_16(real: float) -> tuple[int, int]:
    """A multiplier rounded to 16 bits, and its exponent."""
    multiplier = fixed_point.quantize_multiplier(real)
    return min((multiplier.value + (1 << 15)) >> 16, 32767), multiplier.shift


def _multiply_16(a: np.ndarray, b: int) -> np.ndarray:
    """gemmlowp's SaturatingRoundingDoublingHighMul on int16, b positive."""
    return (a * b + (1 << 14)) >> 15


def _multiply_16_to_zero(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a * b / 2**15 truncated towards zero, a not negative."""
    return np.sign(b) * ((a * np.abs(b)) >> 15)
