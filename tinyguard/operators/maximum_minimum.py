# SPDX-License-Identifier: Apache-2.0
"""MAXIMUM and MINIMUM. Source: TFLite `reference/maximum_minimum.h`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission
from tinyguard.operators.families.elementwise import Elementwise, c_rows


class MaximumMinimum(Elementwise):
    """The larger or smaller of two broadcast operands; int8 and int16.

    TFLite compares codes, whatever they stand for, so all three tensors must share one quantization.
    """

    names: ClassVar = ("MAXIMUM", "MINIMUM")

    def prepare(self) -> None:
        self.prepare_broadcast()
        tensors = (self.input_tensor(0), self.input_tensor(1), self.outputs[0])
        quantizations = {(np.float32(t.scale), t.zero_point) for t in tensors}
        self.require(len(quantizations) == 1, "inputs and output of different scales or zero points")
        self.largest = self.node.operator == "MAXIMUM"

    def function(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (np.maximum(a, b) if self.largest else np.minimum(a, b)) + self.outputs[0].zero_point

    def emit(self, c: Emission) -> str:
        c.kernel("maximum_minimum.h")
        name = "maximum" if self.largest else "minimum"
        suffix = "s8" if self.outputs[0].dtype == "int8" else "s16"
        call = f"tg_{name}_{suffix}(&rows, {c.input(0)}, {c.input(1)}, {c.output()});"
        return f"{c_rows(self.rows)}\n{call}"
