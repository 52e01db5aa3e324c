# SPDX-License-Identifier: Apache-2.0
"""ADD, SUB, MUL and look-ups in MVE."""

from __future__ import annotations

from typing import Any, ClassVar

from tinyguard.kernels.kernel import Cost
from tinyguard.kernels.mve._flash import constant_bytes
from tinyguard.kernels.mve._printed import Printed
from tinyguard.operators import Target

_SHORTEST_ROW = 4


class Elementwise(Printed):
    """Sums, differences and products of int8 codes in rows of at least 4."""

    name: ClassVar = "mve elementwise"
    operators: ClassVar = ("ADD", "SUB", "MUL")
    header: ClassVar = "mve/elementwise.h"
    functions: ClassVar = {"tg_add_s8": "tg_mve_add_s8", "tg_mul_s8": "tg_mve_mul_s8"}

    def supports(self, operator: Any, target: Target) -> bool:
        return operator.outputs[0].dtype == "int8" and operator.rows.sizes[-1] >= _SHORTEST_ROW

    def cost(self, operator: Any, target: Target) -> Cost:
        return Cost(4.5 * operator.outputs[0].elements + 30, constant_bytes(operator), 600)


class Lookup(Printed):
    """Any function of single int8 codes that is tabulated."""

    name: ClassVar = "mve lookup"
    operators: ClassVar = (
        *("ABS", "FILTER_BIT_DEPTH", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "QUANTIZE", "TANH"),
        *("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1"),
    )
    header: ClassVar = "mve/lookup.h"
    functions: ClassVar = {"tg_lookup_s8": "tg_mve_lookup_s8"}

    def supports(self, operator: Any, target: Target) -> bool:
        tensors = (operator.inputs[0], operator.outputs[0])
        return hasattr(operator, "table") and all(t is not None and t.dtype == "int8" for t in tensors)

    def cost(self, operator: Any, target: Target) -> Cost:
        return Cost(0.25 * operator.outputs[0].elements + 10, 256, 40)
