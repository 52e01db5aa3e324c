"""What the layers take in flash."""

from typing import Any


def constant_bytes(operator: Any) -> int:
    """Weights and tables as the portable kernel counts them: ours take their place."""
    return sum(t.size_bytes for t in operator.inputs if t is not None and t.is_constant)
