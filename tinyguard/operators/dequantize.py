# SPDX-License-Identifier: Apache-2.0
"""DEQUANTIZE. Source: TFLite `reference/dequantize.h`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission, Operator
from tinyguard.operators.quantize import c_float


class Dequantize(Operator):
    """Codes to float32: scale * (code - zero point), rounded once."""

    names: ClassVar = ("DEQUANTIZE",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_codes(source)
        self.require(output.dtype == "float32", f"{output.dtype} output, float32 is needed")
        self.require(output.shape == source.shape, f"output of shape {output.shape}, expected {source.shape}")

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x, source = inputs[0], self.input_tensor(0)
        assert x is not None
        return ((x.astype(np.int32) - source.zero_point).astype(np.float32) * np.float32(source.scale),)

    def emit(self, c: Emission) -> str:
        source = self.input_tensor(0)
        c.kernel("quantize.h")
        suffix = "s8" if source.dtype == "int8" else "s16"
        values = f"{c_float(source.scale)}, {source.zero_point}, {source.elements}"
        return f"tg_dequantize_{suffix}({c.input(0)}, {values}, {c.output()});"
