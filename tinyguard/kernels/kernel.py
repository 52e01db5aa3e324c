# SPDX-License-Identifier: Apache-2.0
"""What a kernel is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from tinyguard.operators import Emission, Operator, Target


@dataclass(frozen=True)
class Cost:
    """What a layer takes with a kernel, estimated before anything is compiled.

    `instructions` per inference; `constant_bytes` of weights and tables in flash; `code_bytes` of code
    that this layer does not share with others.
    """

    instructions: float
    constant_bytes: int
    code_bytes: int = 0


class Kernel(ABC):
    """A way to print some operators. One instance, no state; `operator` is always a resolved one."""

    name: ClassVar[str]  # shown by `bench`, such as "dsp conv 4x2"
    operators: ClassVar[tuple[str, ...]]  # TFLite builtin names it can print, given `supports`

    @abstractmethod
    def supports(self, operator: Any, target: Target) -> bool:
        """Whether this layer, with its shapes and types, can be printed for the target."""

    @abstractmethod
    def cost(self, operator: Any, target: Target) -> Cost:
        """Estimate for a layer that is supported."""

    @abstractmethod
    def emit(self, operator: Any, c: Emission) -> str:
        """C statements that compute the outputs, as `Operator.emit`."""

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        """Arena it needs while it runs, beyond inputs and outputs."""
        del operator, target
        return 0

    def in_place(self, operator: Operator) -> tuple[int, ...]:
        """Inputs that output 0 may overwrite, as `Operator.in_place`."""
        return operator.in_place
