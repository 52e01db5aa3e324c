# SPDX-License-Identifier: Apache-2.0
"""What the layers take in flash."""

from collections.abc import Sequence
from typing import Any


def constant_bytes(operator: Any) -> int:
    """Constant operands of a layer that prints them as they are."""
    return sum(t.size_bytes for t in operator.inputs if t is not None and t.is_constant)


def code_bytes(lines: Sequence[str]) -> int:
    """Printed assembly, nearly all of it in instructions of four bytes."""
    return 4 * len(lines)
