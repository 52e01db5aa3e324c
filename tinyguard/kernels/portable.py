# SPDX-License-Identifier: Apache-2.0
"""The operator's own portable C, as a kernel like the others."""

from typing import Any, ClassVar

from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Target

_INSTRUCTIONS_A_MAC = 8.0
_INSTRUCTIONS_AN_ELEMENT = 30.0


class Portable(Kernel):
    """Works for every operator on every core."""

    name: ClassVar = "portable"
    operators: ClassVar = ()

    def supports(self, operator: Any, target: Target) -> bool:
        return True

    def cost(self, operator: Any, target: Target) -> Cost:
        elements = sum(output.elements for output in operator.outputs)
        instructions = operator.macs * _INSTRUCTIONS_A_MAC + elements * _INSTRUCTIONS_AN_ELEMENT
        weights = sum(t.size_bytes for t in operator.inputs if t is not None and t.is_constant)
        return Cost(instructions, weights)

    def emit(self, operator: Any, c: Emission) -> str:
        return operator.emit(c)

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        return operator.scratch_bytes(target)


PORTABLE_KERNEL = Portable()
