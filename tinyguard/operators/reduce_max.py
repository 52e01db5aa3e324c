# SPDX-License-Identifier: Apache-2.0
"""REDUCE_MAX. Source: TFLite `reference/reduce.h`, ReduceGeneric."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission, Operator, c_shape
from tinyguard.operators.families import reduction


class ReduceMax(Operator):
    """The largest code over any constant axes; input and output share one quantization."""

    names: ClassVar = ("REDUCE_MAX",)

    def prepare(self) -> None:
        self.reduction = reduction.prepare(self)
        source, output = self.input_tensor(0), self.outputs[0]
        self.require(
            np.float32(source.scale) == np.float32(output.scale) and source.zero_point == output.zero_point,
            "input and output quantized differently",
        )

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        return (x.max(axis=self.reduction.batched_axes).reshape(len(x), *self.outputs[0].shape),)

    def emit(self, c: Emission) -> str:
        c.kernel("reduce_max.h")
        suffix = "s8" if self.outputs[0].dtype == "int8" else "s16"
        shape = c_shape("tg_reduction_shape", **self.reduction.fields())
        return f"{shape}\ntg_reduce_max_{suffix}(&shape, {c.input(0)}, {c.output()});"
