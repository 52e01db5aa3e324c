# SPDX-License-Identifier: Apache-2.0
"""The classes that a targeted attack wants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyguard.errors import TinyguardError


def wanted_classes(
    text: str, labels: np.ndarray, classes: int, names: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The target of every sample, int64 (N,), and bool (N,): whether it differs from the label.

    `text` is a class by its number or its name, or "next" for the class after each label. Raises
    TinyguardError for no such class, and where every sample is of the wanted class.
    """
    if text == "next":
        targets = (labels + 1) % classes
    else:
        number = _class_number(text, names)
        if number is None or not 0 <= number < classes:
            known = f"0 to {classes - 1}" + (f" or {', '.join(names)}" if names else "")
            raise TinyguardError(f"--targeted {text} is no class: type next or one of {known}")
        targets = np.full(len(labels), number, np.int64)
    differs = targets != labels
    if not differs.any():
        raise TinyguardError(
            f"every sample is of class {text} already, which leaves nothing to attack: type --targeted next"
        )
    return targets, differs


def _class_number(text: str, names: Sequence[str] | None) -> int | None:
    if names and text in names:
        return list(names).index(text)
    try:
        return int(text)
    except ValueError:
        return None
