# SPDX-License-Identifier: Apache-2.0
"""SOFTMAX over the last axis. Source: TFLite `reference/softmax.h`, `kernels/activations.cc`."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tinyguard.arithmetic import exponential, fixed_point, tables
from tinyguard.operators.base import Emission, Operator

_DIFFERENCE_BITS = 5  # integer bits of a scaled difference
_SUM_BITS = 12  # integer bits of the sum of exponentials
_LARGEST_DEPTH = {"int8": (1 << _SUM_BITS) - 1, "int16": 1 << 16}


class Softmax(Operator):
    """exp(beta x) over its sum: gemmlowp fixed point on int8, interpolated tables on int16."""

    names: ClassVar = ("SOFTMAX",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_codes(source, output)
        self.require(output.shape == source.shape, f"output of shape {output.shape}, expected {source.shape}")
        self.require(len(source.shape) >= 1, "input of rank 0")
        self.depth = source.shape[-1]
        self.require(self.depth <= _LARGEST_DEPTH[source.dtype], f"{self.depth} values to sum")
        steps, zero_point = (256, -128) if source.dtype == "int8" else (32768, 0)
        near = abs(output.scale * steps - 1) <= 0.001
        self.require(
            near and output.zero_point == zero_point, f"output scale {output.scale:g}, 1/{steps} is needed"
        )
        self.beta = float(np.float32(self.option("beta", 1.0)))
        if source.dtype == "int8":
            self._prepare_int8()
        else:
            self._prepare_int16()

    def _prepare_int8(self) -> None:
        """exp(-difference) in Q0.31 for every difference from the largest code that counts."""
        real = self.beta * self.input_tensor(0).scale * (1 << (31 - _DIFFERENCE_BITS))
        self.require(real > 1, f"beta times input scale {self.beta * self.input_tensor(0).scale:g} too small")
        multiplier = fixed_point.quantize_multiplier(min(real, 2.0**31 - 1))
        reach = (2**_DIFFERENCE_BITS - 1) * (1 << (31 - _DIFFERENCE_BITS)) / (1 << multiplier.shift)
        differences = -np.arange(min(255, math.floor(reach)) + 1)
        scaled = fixed_point.multiply_by_quantized_multiplier(differences, multiplier.value, multiplier.shift)
        self.exponentials = exponential.exp_on_negative_values(scaled, _DIFFERENCE_BITS)

    def _prepare_int16(self) -> None:
        """Multiplier that takes a difference of codes to the exp table's [-10, 0] as [-65535, 0]."""
        product = np.float32(self.input_tensor(0).scale) * np.float32(self.beta)  # TFLite: in float32
        self.multiplier = fixed_point.quantize_multiplier(float(product) / (10.0 / 65535.0))
        self.require(self.multiplier.shift <= 14, f"beta times input scale {product:g} too large")
        self.require(self.beta >= 0, f"beta {self.beta:g}, 0 or above is needed")

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        codes = x.astype(np.int64)
        below = codes.max(axis=-1, keepdims=True) - codes
        rule = self._run_int8 if self.outputs[0].dtype == "int8" else self._run_int16
        return (rule(below).astype(x.dtype),)

    def _run_int8(self, below: np.ndarray) -> np.ndarray:
        table = np.append(self.exponentials, 0)  # what lies further below adds nothing
        exps = table[np.minimum(below, len(table) - 1)]
        sums = fixed_point.rounding_divide_by_pot(exps, _SUM_BITS).sum(axis=-1, keepdims=True)
        headroom = _leading_zeros(sums)
        reciprocal = exponential.one_over_one_plus_x((sums << headroom) - (1 << 31))
        quotient = fixed_point.saturating_rounding_doubling_high_mul(reciprocal, exps)
        exponent = _SUM_BITS - headroom + 31 - 8
        # Above 31 (a sum of 512 or more) TFLite stops the process; every output is below half a code there.
        steps = fixed_point.rounding_divide_by_pot(quotient, np.minimum(exponent, 31))
        return np.clip(np.where(exponent > 31, 0, steps) - 128, -128, 127)

    def _run_int16(self, below: np.ndarray) -> np.ndarray:
        scaled = fixed_point.multiply_by_quantized_multiplier(
            -below, self.multiplier.value, self.multiplier.shift
        )
        exps = tables.interpolate(np.clip(scaled + 32767, -32768, 32767), tables.exp_table())
        sums = exps.sum(axis=-1, keepdims=True)
        headroom = _leading_zeros(sums)
        shifted = ((sums << (headroom - 1)) + (1 << 13)) >> 14
        position = np.clip(shifted - (1 << 15) - (1 << 16), -32768, 32767)
        reciprocal = tables.interpolate(position, tables.one_over_one_plus_x_table())
        right = 31 - headroom
        return np.clip((exps * reciprocal + (1 << (right - 1))) >> right, 0, 32767)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    def emit(self, c: Emission) -> str:
        c.kernel("softmax.h")
        rows = self.outputs[0].elements // max(1, self.depth)
        size = f"{rows}, {self.depth}"
        if self.outputs[0].dtype == "int8":
            note = "exp(-difference from the largest) in Q0.31"
            table = c.constant("exponentials", self.exponentials.astype(np.int32), note)
            return f"tg_softmax_s8({c.input(0)}, {table}, {len(self.exponentials)}, {size}, {c.output()});"
        exps = c.constant("exp", tables.exp_table(), "exp(x) in Q0.15, x from -10 to 0")
        reciprocals = c.constant(
            "reciprocal", tables.one_over_one_plus_x_table(), "1 / (1 + x), x from 0 to 1"
        )
        scale = f"{self.multiplier.value}, {self.multiplier.shift}"
        return f"tg_softmax_s16({c.input(0)}, {exps}, {reciprocals}, {scale}, {size}, {c.output()});"


def _leading_zeros(x: np.ndarray) -> np.ndarray:
    """Zero bits above the highest one of positive int32 values."""
    return 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)
