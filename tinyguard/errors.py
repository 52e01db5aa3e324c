# SPDX-License-Identifier: Apache-2.0
"""The one exception a user sees."""

import difflib
from collections.abc import Iterable

_ALIKE = 0.4


class TinyguardError(Exception):
    """Bad input or a missing tool.

    The message is one lower-case line: what is wrong, where (file, layer, port), what to type.
    The command line prints it as `error: ...` and exits with status 1.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> TinyguardError:
    """That no `kind` (attack, filter, ...) has this name, with the nearest one, or with all."""
    names = list(known)
    near = difflib.get_close_matches(name.lower(), names, 1, _ALIKE)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
    return TinyguardError(f"no {kind} named {name!r}; {hint}")
