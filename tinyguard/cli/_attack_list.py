# SPDX-License-Identifier: Apache-2.0
"""The attacks in a line each, by what they see of a network, for --help."""

from __future__ import annotations

from tinyguard.attacks.declared import Declared, own, registry
from tinyguard.errors import TinyguardError

_SEES = {"gradient": "gradients", "score": "scores", "decision": "decisions alone"}
_NORMS = {"linf": "Linf", "l2": "L2", "l1": "L1", "l0": "L0"}


def listing() -> str:
    """The help's list of attacks, those of plug-ins among them; it says where a plug-in cannot be loaded."""
    try:
        known, note = registry(), ""
    except TinyguardError as error:
        known, note = own(), f"\n{error}"
    lines = []
    for access, seen in _SEES.items():
        lines += [f"Attacks that see {seen}:", *(_line(a) for a in known.values() if a.access == access)]
    return "\n".join(lines) + note


def _line(attack: Declared) -> str:
    norms = ", ".join(_NORMS.get(norm, norm) for norm in attack.norms)
    return f"  {attack.name:<13} {attack.summary} ({norms})"
