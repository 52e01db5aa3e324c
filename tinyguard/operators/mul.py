# SPDX-License-Identifier: Apache-2.0
"""MUL. Source: TFLite `reference/integer_ops/mul.h`, `kernels/mul.cc`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic import fixed_point
from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families.elementwise import Elementwise, c_rows

_LARGEST_SHIFT = {"int8": 14, "int16": 0}  # a product of codes shifted left stays inside int32


class Mul(Elementwise):
    """Product of two broadcast operands with a fused activation; int8 and int16, double rounding."""

    names: ClassVar = ("MUL",)

    def prepare(self) -> None:
        self.prepare_broadcast()
        a, b, output = self.input_tensor(0), self.input_tensor(1), self.outputs[0]
        # TFLite multiplies and divides the scales in float32.
        real = np.float32(a.scale) * np.float32(b.scale) / np.float32(output.scale)
        self.multiplier = fixed_point.quantize_multiplier(float(real))
        limit = _LARGEST_SHIFT[output.dtype]
        self.require(
            self.multiplier.shift <= limit, f"output scale {output.scale:g} far below the inputs' product"
        )
        self.low, self.high = self.activation_range(output)

    @property
    def clamp(self) -> tuple[int, int]:
        return self.low, self.high

    def function(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        m, zero_point = self.multiplier, self.outputs[0].zero_point
        return fixed_point.requantize(a * b, m.value, m.shift, zero_point, self.low, self.high)

    def emit(self, c: Emission) -> str:
        a, b, output = self.input_tensor(0), self.input_tensor(1), self.outputs[0]
        c.kernel("mul.h")
        shape = c_shape(
            "tg_mul_shape",
            a_offset=-a.zero_point,
            b_offset=-b.zero_point,
            multiplier=self.multiplier.value,
            shift=self.multiplier.shift,
            output_offset=output.zero_point,
            low=self.low,
            high=self.high,
        )
        suffix = "s8" if output.dtype == "int8" else "s16"
        call = f"tg_mul_{suffix}(&shape, &rows, {c.input(0)}, {c.input(1)}, {c.output()});"
        return f"{c_rows(self.rows)}\n{shape}\n{call}"
