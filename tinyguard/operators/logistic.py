# SPDX-License-Identifier: Apache-2.0
"""LOGISTIC and TANH.

Source: TFLite `kernels/activations.cc`, `reference/integer_ops/logistic.h` and `tanh.h`.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic import tables
from tinyguard.operators.base import Emission
from tinyguard.operators.families.unary import Unary


class Logistic(Unary):
    """1 / (1 + exp(-x)) or tanh(x): tabulated on int8, interpolated in a table of sigmoid on int16.

    The output's quantization is TFLite's fixed one; some runtimes assume it without a look.
    """

    names: ClassVar = ("LOGISTIC", "TANH")

    def prepare(self) -> None:
        self.prepare_unary()
        source, output = self.input_tensor(0), self.outputs[0]
        self.is_tanh = self.node.operator == "TANH"
        steps, zero_point = (
            (32768, 0) if source.dtype == "int16" else (128, 0) if self.is_tanh else (256, -128)
        )
        self.require(
            output.scale * steps == 1 and output.zero_point == zero_point,
            f"output scale {output.scale:g}, zero point {output.zero_point}, not 1/{steps}, {zero_point}",
        )
        if source.dtype == "int16":
            self._prepare_int16(np.float32(source.scale))
            return
        self.table = tables.table_of_codes(
            tables.tanh if self.is_tanh else tables.sigmoid,
            source.scale,
            source.zero_point,
            output.scale,
            output.zero_point,
        )

    def _prepare_int16(self, scale: np.float32) -> None:
        """Multiplier and shift that take a code to steps of 1/12288, the table's own scale."""
        octave, is_power = tables.checked_log2(scale)
        if is_power and 12 + octave in ((0, 1) if self.is_tanh else (0,)):
            self.multiplier, self.shift = 3 << (12 + octave), 0
            return
        real, self.shift = float(scale) * 4096.0 * 3.0, 0
        while real <= 32767 / 2 and self.shift <= 30:
            self.shift += 1
            real *= 2
        self.multiplier = int(real)
        self.require(self.multiplier <= 32767, f"input scale {scale:g} too large")

    def function(self, codes: np.ndarray) -> np.ndarray:
        """The int16 rule: the table holds sigmoid at every 512 steps; tanh(x) = 2 sigmoid(2x) - 1."""
        half = 1 << (self.shift - 1) if self.shift else 0
        x = (codes.astype(np.int64) * self.multiplier + half) >> self.shift
        bits = 8 if self.is_tanh else 9
        table = tables.sigmoid_table().astype(np.int64)
        entry, part = np.abs(x) >> bits, np.abs(x) & ((1 << bits) - 1)
        base = table[np.minimum(entry, 254)]
        between = (base << bits) + part * (table[np.minimum(entry, 254) + 1] - base)
        if self.is_tanh:
            above = np.where(entry >= 255, 0xFFFF << 8, between) - (1 << 23)
            return (np.where(x >= 0, above, -above - 1) + (1 << 7)) >> 8
        above = np.where(entry >= 255, 0x7FFF << 10, between)
        return (np.where(x >= 0, above, (1 << 25) - above - 1) + (1 << 9)) >> 10

    def emit_int16(self, c: Emission) -> str:
        c.kernel("logistic.h")
        table = (tables.sigmoid_table().astype(np.int32) - 32768).astype(np.int16)
        name = c.constant("sigmoid", table, "sigmoid(i / 24) - 1/2 in steps of 1/65536")
        kernel = "tg_tanh_s16" if self.is_tanh else "tg_logistic_s16"
        count = self.outputs[0].elements
        return f"{kernel}({c.input(0)}, {name}, {self.multiplier}, {self.shift}, {count}, {c.output()});"
