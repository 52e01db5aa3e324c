# SPDX-License-Identifier: Apache-2.0
"""tinyguard: quantize, attack, harden and flash int8 networks on Cortex-M, bit for bit."""

from typing import TYPE_CHECKING, Any

from tinyguard.version import VERSION

if TYPE_CHECKING:
    from tinyguard.api import Model, compare, load

__version__ = VERSION
__all__ = ["Model", "__version__", "compare", "load"]


def __getattr__(name: str) -> Any:
    """`load`, `compare` and `Model` are imported when they are first asked for."""
    if name in ("Model", "compare", "load"):
        from tinyguard import api

        return getattr(api, name)
    raise AttributeError(f"module 'tinyguard' has no attribute {name!r}")
