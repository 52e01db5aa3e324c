# SPDX-License-Identifier: Apache-2.0
"""PRELU. Source: TFLite `reference/prelu.h`, `kernels/activations.cc`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic import fixed_point
from tinyguard.operators.base import Emission, c_shape
from tinyguard.operators.families.elementwise import Elementwise, c_rows

_LARGEST_SHIFT = 14  # a product of two centred int8 codes shifted left stays inside int32


class Prelu(Elementwise):
    """x where x >= 0 and alpha * x elsewhere; alpha broadcasts to the input's shape. int8, as in TFLite."""

    names: ClassVar = ("PRELU",)

    def prepare(self) -> None:
        self.prepare_broadcast()
        source, alpha, output = self.input_tensor(0), self.input_tensor(1), self.outputs[0]
        self.require(source.dtype == "int8", f"{source.dtype}, int8 is needed")
        self.require(
            source.shape == output.shape, f"slopes {alpha.shape} larger than the input {source.shape}"
        )
        # TFLite multiplies and divides the scales in float32.
        ratio = np.float32(source.scale) / np.float32(output.scale)
        slope = np.float32(source.scale) * np.float32(alpha.scale) / np.float32(output.scale)
        self.positive, self.negative = (fixed_point.quantize_multiplier(float(m)) for m in (ratio, slope))
        largest = max(self.positive.shift, self.negative.shift)
        self.require(largest <= _LARGEST_SHIFT, f"output scale {output.scale:g} far below the input's")

    @property
    def in_place(self) -> tuple[int, ...]:
        return tuple(k for k in super().in_place if k == 0)

    def function(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        scale = fixed_point.multiply_by_quantized_multiplier
        above = scale(a, self.positive.value, self.positive.shift)
        below = scale(a * b, self.negative.value, self.negative.shift)
        return np.clip(np.where(a >= 0, above, below) + self.outputs[0].zero_point, -128, 127)

    def emit(self, c: Emission) -> str:
        c.kernel("prelu.h")
        shape = c_shape(
            "tg_prelu_shape",
            input_offset=-self.input_tensor(0).zero_point,
            alpha_offset=-self.input_tensor(1).zero_point,
            positive_multiplier=self.positive.value,
            positive_shift=self.positive.shift,
            negative_multiplier=self.negative.value,
            negative_shift=self.negative.shift,
            output_offset=self.outputs[0].zero_point,
        )
        call = f"tg_prelu_s8(&shape, &rows, {c.input(0)}, {c.input(1)}, {c.output()});"
        return f"{c_rows(self.rows)}\n{shape}\n{call}"
