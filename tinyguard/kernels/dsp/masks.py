# SPDX-License-Identifier: Apache-2.0
"""Dropout masks, four elements at a time."""

from __future__ import annotations

from typing import Any, ClassVar

from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Target
from tinyguard.operators.dropout import Dropout


class Masks(Kernel):
    """Bytes of the generator compared and selected in the lanes of a word."""

    name: ClassVar = "dsp dropout"
    operators: ClassVar = Dropout.names

    def supports(self, operator: Any, target: Target) -> bool:
        return True

    def cost(self, operator: Any, target: Target) -> Cost:
        return Cost(10.0 * operator.outputs[0].elements, 0)

    def emit(self, operator: Any, c: Emission) -> str:
        return str(operator.emit_call(c, "dsp/masks.h", "tg_dsp_dropout_s8"))
