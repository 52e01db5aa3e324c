# SPDX-License-Identifier: Apache-2.0
"""What one may choose when C is generated."""

from pathlib import Path
from typing import TypedDict


class Options(TypedDict, total=False):
    """Keywords of everything that generates C.

    `optimize`: "speed", "balanced" (default) or "size". `kernels`: "builtin" (default) or "cmsis-nn".
    `flash_budget`: bytes that constants and the kernels' own code may take, None for all there is.
    `cmsis_nn`: folder of the user's CMSIS-NN, None for $CMSIS_NN_ROOT. `passes`: whether the network is
    rewritten first (tinyguard.passes, default True).
    """

    optimize: str
    kernels: str
    flash_budget: int | None
    cmsis_nn: Path | None
    passes: bool


def label(options: Options) -> str:
    """What tells images of one network and board apart; empty for the defaults."""
    parts = []
    if options.get("optimize", "balanced") != "balanced":
        parts.append(options["optimize"])
    if options.get("kernels", "builtin") != "builtin":
        parts.append(options["kernels"])
    budget = options.get("flash_budget")
    if budget is not None:
        parts.append(f"flash{budget}")
    if not options.get("passes", True):
        parts.append("unrewritten")
    return "-".join(parts)
