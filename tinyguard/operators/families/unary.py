# SPDX-License-Identifier: Apache-2.0
"""Operators on single codes: on int8 a table of 256 entries computed at generation, whatever the function."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from tinyguard.arithmetic import Multiplier, fixed_point
from tinyguard.arithmetic.tables import ALL_INT8
from tinyguard.operators.base import Emission, Operator, c_shape


class Unary(Operator):
    """Base of the operators that map each code of input 0 to one output code of the same type."""

    table: np.ndarray  # int8 (256,), indexed by a code cast to uint8; on int8 inputs only

    def prepare_unary(self) -> None:
        """Check one input and output of one shape and code type."""
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_codes(source, output)
        self.require(output.shape == source.shape, f"output of shape {output.shape}, expected {source.shape}")

    def prepare_table(self) -> None:
        """Tabulate `function` for int8; called when the parameters are set."""
        if self.input_tensor(0).dtype == "int8":
            self.table = self.function(ALL_INT8).astype(np.int8)

    @abstractmethod
    def function(self, codes: np.ndarray) -> np.ndarray:
        """Exact output codes, any integer dtype, of input codes of any shape."""

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        if self.input_tensor(0).dtype == "int8":
            return (self.table[x.view(np.uint8)],)
        return (self.function(x).astype(self.outputs[0].dtype),)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    def emit(self, c: Emission) -> str:
        if self.input_tensor(0).dtype != "int8":
            return self.emit_int16(c)
        c.kernel("lookup.h")
        table = c.constant("table", self.table, "output code of input codes 0 to 127, -128 to -1")
        return f"tg_lookup_s8({c.input(0)}, {table}, {self.outputs[0].elements}, {c.output()});"

    def emit_int16(self, c: Emission) -> str:
        """C statements for int16 inputs."""
        raise NotImplementedError(f"{self.node.operator} on int16")


class Rescaled(Unary):
    """Base of the functions that scale codes above and below the zero point each by a constant.

    `prepare` sets the multipliers, `negate` (the lower side's result changes sign), `low` and `high`.
    """

    positive: Multiplier
    negative: Multiplier
    negate: bool = False
    low: int
    high: int

    def prepare_multipliers(self, positive: np.floating, negative: np.floating) -> None:
        """Quantize both real multipliers, not negative, in the precision that TFLite computes them in."""
        pairs = [fixed_point.quantize_multiplier(float(m)) for m in (positive, negative)]
        self.positive, self.negative = pairs[0], pairs[1]
        largest = 22 if self.input_tensor(0).dtype == "int8" else 14  # shifted codes stay inside int32
        needed = max(m.shift for m in pairs)
        self.require(needed <= largest, f"output scale {self.outputs[0].scale:g} far below the input's")

    @property
    def clamp(self) -> tuple[int, int]:
        return self.low, self.high

    def function(self, codes: np.ndarray) -> np.ndarray:
        x = codes.astype(np.int64) - self.input_tensor(0).zero_point
        scale = fixed_point.multiply_by_quantized_multiplier
        above = scale(x, self.positive.value, self.positive.shift)
        below = scale(-x if self.negate else x, self.negative.value, self.negative.shift)
        return np.clip(np.where(x >= 0, above, below) + self.outputs[0].zero_point, self.low, self.high)

    def emit_int16(self, c: Emission) -> str:
        return self.emit_rescale(c, "s16")

    def emit_rescale(self, c: Emission, suffix: str) -> str:
        """The call of tg_rescale_`suffix`."""
        c.kernel("rescale.h")
        shape = c_shape(
            "tg_rescale_shape",
            count=self.outputs[0].elements,
            input_offset=-self.input_tensor(0).zero_point,
            positive_multiplier=self.positive.value,
            positive_shift=self.positive.shift,
            negative_multiplier=self.negative.value,
            negative_shift=self.negative.shift,
            negate=int(self.negate),
            output_offset=self.outputs[0].zero_point,
            low=self.low,
            high=self.high,
        )
        return f"{shape}\ntg_rescale_{suffix}(&shape, {c.input(0)}, {c.output()});"
