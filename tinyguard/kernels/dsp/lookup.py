# SPDX-License-Identifier: Apache-2.0
"""Functions of single codes: RELU and its kin, quantization to another scale, sigmoids."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinyguard.arithmetic.tables import ALL_INT8
from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Operator, Target


class Lookup(Kernel):
    """A table of 256 codes, or a clamp of four codes at a time where the function is one."""

    name: ClassVar = "dsp lookup"
    operators: ClassVar = (
        "ABS",
        "FILTER_BIT_DEPTH",
        "HARD_SWISH",
        "LEAKY_RELU",
        "LOGISTIC",
        "QUANTIZE",
        "RELU",
        "RELU6",
        "RELU_0_TO_1",
        "RELU_N1_TO_1",
        "TANH",
    )

    def supports(self, operator: Any, target: Target) -> bool:
        codes = all(t.dtype == "int8" for t in (operator.input_tensor(0), operator.outputs[0]))
        return codes and hasattr(operator, "table")

    def cost(self, operator: Any, target: Target) -> Cost:
        count = operator.outputs[0].elements
        return Cost(1.8 * count, 0) if _clamp(operator) else Cost(3.8 * count, 0)

    def in_place(self, operator: Operator) -> tuple[int, ...]:
        return (0,)

    def emit(self, operator: Any, c: Emission) -> str:
        count = operator.outputs[0].elements
        c.kernel("dsp/lookup.h")
        clamp = _clamp(operator)
        if clamp:
            return f"tg_clamped_copy_s8({c.input(0)}, {count}, {clamp[0]}, {clamp[1]}, {c.output()});"
        table = c.constant("table", operator.table, "output code of input codes 0 to 127, -128 to -1")
        return f"tg_lookup_4_s8({c.input(0)}, {table}, {count}, {c.output()});"


def _clamp(op: Any) -> tuple[int, int] | None:
    """Lowest and highest output code where every code between them stays as it is."""
    low, high = int(op.table.min()), int(op.table.max())
    return (low, high) if np.array_equal(op.table, np.clip(ALL_INT8, low, high)) else None
