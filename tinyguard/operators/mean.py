# SPDX-License-Identifier: Apache-2.0
"""MEAN. Source: TFLite `reference/reduce.h`, QuantizedMeanOrSum."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic import fixed_point
from tinyguard.operators.base import CODE_RANGE, Emission, Operator, c_shape
from tinyguard.operators.families import reduction


class Mean(Operator):
    """The mean over any constant axes, requantized; int8 and int16."""

    names: ClassVar = ("MEAN",)

    def prepare(self) -> None:
        self.reduction = reduction.prepare(self)
        source, output = self.input_tensor(0), self.outputs[0]
        low, high = CODE_RANGE[source.dtype]
        self.require(self.reduction.count * (high - low) < 2**31, "sums may exceed 32 bits")
        self.require(output.scale > 0, f"output scale {output.scale:g}")
        real = np.float64(np.float32(source.scale)) / np.float64(np.float32(output.scale))
        self.require(bool(0 <= real < 2.0**30), "output scale far below the input's")
        scale = fixed_point.quantize_multiplier(float(real))
        # TFLite folds 1 / count into the multiplier, as far as its shift allows.
        count = self.reduction.count
        shift = min(count.bit_length() - 1, 32, 31 + scale.shift)
        self.multiplier = (scale.value << shift) // count
        self.shift = scale.shift - shift
        largest = (high - low) * count << max(self.shift, 0)
        self.require(largest < 2**31, "output scale far below the input's")

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        source, output = self.input_tensor(0), self.outputs[0]
        sums = x.astype(np.int64).sum(axis=self.reduction.batched_axes)
        sums = sums - source.zero_point * self.reduction.count
        codes = fixed_point.requantize(
            sums, self.multiplier, self.shift, output.zero_point, *CODE_RANGE[output.dtype]
        )
        return (codes.astype(output.dtype).reshape(len(x), *output.shape),)

    def emit(self, c: Emission) -> str:
        source, output = self.input_tensor(0), self.outputs[0]
        c.kernel("mean.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        shape = c_shape(
            "tg_reduction_shape",
            **self.reduction.fields(),
            sum_offset=-source.zero_point * self.reduction.count,
            multiplier=self.multiplier,
            shift=self.shift,
            output_offset=output.zero_point,
        )
        return f"{shape}\ntg_mean_{suffix}(&shape, {c.input(0)}, {c.output()});"
