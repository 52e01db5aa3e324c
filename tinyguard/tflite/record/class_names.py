# SPDX-License-Identifier: Apache-2.0
"""What the classes are called, in the order of the scores: {"class_names": ["cat", "dog"]}."""

from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.tflite.record.section import Section


def _parse(section: Any) -> tuple[str, ...] | None:
    if section is None:
        return None
    if not isinstance(section, list) or not all(
        isinstance(name, str) and name.isprintable() for name in section
    ):
        raise TinyguardError(
            "tinyguard metadata: class_names is not a list of printable names; quantize the model again"
        )
    return tuple(section)


SECTION = Section("class_names", "names of classes", _parse, list)
