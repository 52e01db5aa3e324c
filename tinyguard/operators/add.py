# SPDX-License-Identifier: Apache-2.0
"""ADD and SUB. Source: TFLite `reference/integer_ops/add.h`, `reference/sub.h`, `kernels/add.cc`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic import Multiplier, fixed_point, tables
from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families.elementwise import Elementwise, c_rows

_LEFT_SHIFT = {"int8": 20, "int16": 15}  # keeps a scaled sum inside int32


class Add(Elementwise):
    """Sum or difference of two broadcast operands with a fused activation; int8 and int16."""

    names: ClassVar = ("ADD", "SUB")

    def prepare(self) -> None:
        self.prepare_broadcast()
        a, b, output = self.input_tensor(0), self.input_tensor(1), self.outputs[0]
        self.subtract = self.node.operator == "SUB"
        self.left_shift = _LEFT_SHIFT[output.dtype]
        # TFLite: doubles of float32 scales; only the products with powers of two are exact.
        twice_largest = np.float64(2 * max(np.float32(a.scale), np.float32(b.scale)))
        smallest = np.float64(np.float32(1 << self.left_shift) * np.float32(output.scale))
        self.require(
            bool(twice_largest < smallest),
            f"output scale {output.scale:g} far below the inputs' {twice_largest / 2:g}",
        )
        self.multipliers = tuple(
            fixed_point.quantize_multiplier(float(np.float64(np.float32(t.scale)) / twice_largest))
            for t in (a, b)
        )
        self.output_multiplier = fixed_point.quantize_multiplier(float(twice_largest / smallest))
        self.low, self.high = self.activation_range(output)
        if output.dtype == "int16" and self.option("pot_scale_int16", True):
            powers = all(tables.checked_log2(np.float32(t.scale))[1] for t in (a, b, output))
            self.require(not powers, "pot_scale_int16 on power-of-two scales, where runtimes disagree")

    @property
    def clamp(self) -> tuple[int, int]:
        return self.low, self.high

    def scaled(self, centred: np.ndarray, multiplier: Multiplier) -> np.ndarray:
        """Codes without zero point on the common scale of both operands, int64."""
        shifted = centred << self.left_shift
        return fixed_point.multiply_by_quantized_multiplier(shifted, multiplier.value, multiplier.shift)

    def function(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = (self.scaled(x, m) for x, m in zip((a, b), self.multipliers, strict=True))
        final, zero_point = self.output_multiplier, self.outputs[0].zero_point
        total = a - b if self.subtract else a + b
        return fixed_point.requantize(total, final.value, final.shift, zero_point, self.low, self.high)

    def emit(self, c: Emission) -> str:
        a, b, output = self.input_tensor(0), self.input_tensor(1), self.outputs[0]
        c.kernel("add.h")
        shape = c_shape(
            "tg_add_shape",
            a_offset=-a.zero_point,
            b_offset=-b.zero_point,
            left_shift=self.left_shift,
            a_multiplier=self.multipliers[0].value,
            a_shift=self.multipliers[0].shift,
            b_multiplier=self.multipliers[1].value,
            b_shift=self.multipliers[1].shift,
            subtract=int(self.subtract),
            output_multiplier=self.output_multiplier.value,
            output_shift=self.output_multiplier.shift,
            output_offset=output.zero_point,
            low=self.low,
            high=self.high,
        )
        suffix = "s8" if output.dtype == "int8" else "s16"
        call = f"tg_add_{suffix}(&shape, &rows, {c.input(0)}, {c.input(1)}, {c.output()});"
        return f"{c_rows(self.rows)}\n{shape}\n{call}"
