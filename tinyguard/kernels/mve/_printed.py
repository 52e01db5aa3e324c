# SPDX-License-Identifier: Apache-2.0
"""Kernels that take the portable kernel's arguments."""

from __future__ import annotations

from typing import Any, ClassVar

from tinyguard.kernels.kernel import Kernel
from tinyguard.operators import Emission


class Printed(Kernel):
    """Prints what the operator prints, with another function of another header."""

    header: ClassVar[str]
    functions: ClassVar[dict[str, str]]

    def emit(self, operator: Any, c: Emission) -> str:
        text: str = operator.emit(_Renamed(c, self.header))
        for portable, ours in self.functions.items():
            text = text.replace(f"{portable}(", f"{ours}(")
        return text


class _Renamed:
    """An emission that includes one header, whichever is asked for."""

    def __init__(self, c: Emission, header: str) -> None:
        self._c, self._header = c, header
        self.target, self.input, self.output = c.target, c.input, c.output
        self.scratch, self.constant = c.scratch, c.constant

    def kernel(self, header: str) -> None:
        del header
        self._c.kernel(self._header)
