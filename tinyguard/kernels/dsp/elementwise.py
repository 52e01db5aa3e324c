# SPDX-License-Identifier: Apache-2.0
"""ADD, SUB and MUL of two tensors of one shape."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinyguard.arithmetic.tables import ALL_INT8
from tinyguard.kernels.dsp.requantize import requantization_words
from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Operator, Target
from tinyguard.operators.add import Add
from tinyguard.operators.base import c_shape
from tinyguard.operators.mul import Mul

_HALF = (1 << 30, 0)  # multiplier and shift of the operand with the larger scale
_LARGEST_SUM = 1 << 28  # of two codes without zero points, times 2^19 each
_LARGEST_PRODUCT = 1 << 16


def _flat(op: Add | Mul) -> bool:
    """Whether both operands are read once, element by element."""
    rows = op.rows
    return op.outputs[0].dtype == "int8" and len(rows.sizes) == 1 and rows.a == rows.b == (1,)


def _scaling(op: Add | Mul, largest: int) -> tuple[int, int, int] | None:
    """Multiplier, round and shift of the output."""
    scale = op.output_multiplier if isinstance(op, Add) else op.multiplier
    values, shifts = np.array([scale.value], np.int32), np.array([scale.shift], np.int8)
    words = requantization_words(values, shifts, op.outputs[0].zero_point, largest)
    return None if words is None else (int(words[0, 0]), int(words[0, 1]), int(words[0, 2]))


def _half_operand(op: Add) -> int:
    """The operand whose multiplier is a half: the one with the larger scale."""
    first = op.multipliers[0]
    return 0 if (first.value, first.shift) == _HALF else 1


class Sum(Kernel):
    """The smaller operand from a table of scaled codes, the other one shifted: eight instructions."""

    name: ClassVar = "dsp sum"
    operators: ClassVar = ("ADD", "SUB")

    def supports(self, operator: Any, target: Target) -> bool:
        return _flat(operator) and _scaling(operator, _LARGEST_SUM) is not None

    def cost(self, operator: Any, target: Target) -> Cost:
        count = operator.outputs[0].elements
        table = _tabulates(operator, target)
        constants = sum(t.size_bytes for t in operator.inputs if t.is_constant)
        return Cost((9.0 if table else 14.0) * count + 30, constants + 1024 * table)

    def in_place(self, operator: Operator) -> tuple[int, ...]:
        return (0, 1)

    def emit(self, operator: Any, c: Emission) -> str:
        half = _half_operand(operator)
        other = 1 - half
        multiplier, round_, shift = _scaling(operator, _LARGEST_SUM) or (0, 0, 1)
        signs = [1, -1 if operator.subtract else 1]
        scale = operator.multipliers[other]
        both_halves = (scale.value, scale.shift) == _HALF
        zero_points = [operator.input_tensor(k).zero_point for k in (0, 1)]
        constant = -signs[half] * (zero_points[half] << 20)
        if both_halves:
            constant -= signs[other] * (zero_points[other] << 20)
        c.kernel("dsp/elementwise.h")
        shape = c_shape(
            "tg_sum_shape",
            count=operator.outputs[0].elements,
            sign=signs[other],
            half_sign=signs[half],
            constant=constant,
            other_offset=-zero_points[other] * (1 << 21),
            other_multiplier=0 if both_halves else scale.value,
            other_shift=-scale.shift,
            multiplier=multiplier,
            round=round_,
            shift=shift,
            low=operator.low,
            high=operator.high,
        )
        operands = f"{c.input(half)}, {c.input(other)}"
        if not _tabulates(operator, c.target):
            return f"{shape}\ntg_sum_s8(&shape, {operands}, {c.output()});"
        scaled = operator.scaled(ALL_INT8.astype(np.int64) - zero_points[other], scale)
        terms = (constant + signs[other] * 2 * scaled).astype(np.int32)
        table = c.constant("terms", terms, "doubled terms of input codes 0 to 127, -128 to -1")
        return f"{shape}\ntg_sum_table_s8(&shape, {operands}, {table}, {c.output()});"


def _tabulates(op: Add, target: Target) -> bool:
    """Whether the smaller operand's terms lie in a table: not for "size", and not where it is shifted too."""
    scale = op.multipliers[1 - _half_operand(op)]
    return target.fast and (scale.value, scale.shift) != _HALF and op.outputs[0].elements >= 512


class Product(Kernel):
    """Nine instructions per element."""

    name: ClassVar = "dsp product"
    operators: ClassVar = ("MUL",)

    def supports(self, operator: Any, target: Target) -> bool:
        return _flat(operator) and _scaling(operator, _LARGEST_PRODUCT) is not None

    def cost(self, operator: Any, target: Target) -> Cost:
        constants = sum(t.size_bytes for t in operator.inputs if t.is_constant)
        return Cost(12.0 * operator.outputs[0].elements + 20, constants)

    def in_place(self, operator: Operator) -> tuple[int, ...]:
        return (0, 1)

    def emit(self, operator: Any, c: Emission) -> str:
        multiplier, round_, shift = _scaling(operator, _LARGEST_PRODUCT) or (0, 0, 1)
        c.kernel("dsp/elementwise.h")
        shape = c_shape(
            "tg_product_shape",
            count=operator.outputs[0].elements,
            a_offset=-operator.input_tensor(0).zero_point,
            b_offset=-operator.input_tensor(1).zero_point,
            multiplier=multiplier,
            round=round_,
            shift=shift,
            low=operator.low,
            high=operator.high,
        )
        return f"{shape}\ntg_product_s8(&shape, {c.input(0)}, {c.input(1)}, {c.output()});"
