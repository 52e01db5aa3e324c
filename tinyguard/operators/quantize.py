# SPDX-License-Identifier: Apache-2.0
"""QUANTIZE. Source: TFLite `reference/quantize.h`, `reference/requantize.h`, `kernels/quantize.cc`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic.tables import round_half_away
from tinyguard.operators.base import CODE_RANGE, Emission
from tinyguard.operators.families.unary import Rescaled

_SUFFIX = {"int8": "s8", "int16": "s16"}
_FROM_CODES = (("int8", "int8"), ("int16", "int8"), ("int16", "int16"))


class Quantize(Rescaled):
    """float32 values to codes, or codes of one scale to codes of another."""

    names: ClassVar = ("QUANTIZE",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_codes(output)
        self.require(output.shape == source.shape, f"output of shape {output.shape}, expected {source.shape}")
        self.low, self.high = CODE_RANGE[output.dtype]
        if source.dtype == "float32":
            return
        self.require_codes(source)
        pair = (source.dtype, output.dtype)
        self.require(pair in _FROM_CODES, f"{pair[0]} to {pair[1]}")
        ratio = np.float64(np.float32(source.scale)) / np.float64(np.float32(output.scale))
        self.prepare_multipliers(ratio, ratio)
        if pair == ("int8", "int8"):
            self.prepare_table()

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,) if self.input_tensor(0).dtype == self.outputs[0].dtype else ()

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x, output = inputs[0], self.outputs[0]
        assert x is not None
        if self.input_tensor(0).dtype != "float32":
            return super().run(x)
        with np.errstate(over="ignore"):
            steps = x / np.float32(output.scale)
        # Far outside the range TFLite's conversion to int32 is undefined; here it saturates, NaN at low.
        steps = np.clip(np.nan_to_num(steps, nan=-65536.0), -65536, 65536)
        codes = round_half_away(steps).astype(np.int64) + output.zero_point
        return (np.clip(codes, self.low, self.high).astype(output.dtype),)

    def emit(self, c: Emission) -> str:
        source, output = self.input_tensor(0), self.outputs[0]
        to = _SUFFIX[output.dtype]
        if source.dtype == "float32":
            c.kernel("quantize.h")
            values = f"{c_float(output.scale)}, {output.zero_point}, {output.elements}"
            return f"tg_quantize_{to}({c.input(0)}, {values}, {c.output()});"
        if source.dtype == "int16" and output.dtype == "int8":
            return self.emit_rescale(c, "s16_s8")
        return super().emit(c)


def c_float(value: float) -> str:
    """A float32 value as a C literal, exact."""
    return f"{float(np.float32(value)).hex()}f"
