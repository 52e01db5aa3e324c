# SPDX-License-Identifier: Apache-2.0
"""Values of a study file, checked where they are read: a TinyguardError says where and what is wrong."""

from __future__ import annotations

from typing import Any

from tinyguard.errors import TinyguardError


def tables(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The [[key]] tables, of which there is one at least."""
    found = content.get(key)
    if not isinstance(found, list) or not found or not all(isinstance(table, dict) for table in found):
        raise TinyguardError(f"no [[{key}]] table: add one")
    return found


def table(value: Any, where: str, example: str, keys: set[str]) -> dict[str, Any]:
    """A table with no keys but `keys`."""
    if not isinstance(value, dict):
        raise TinyguardError(f"{where} is {value!r}, and a table is needed, as in {example}")
    known(value, keys, where)
    return value


def known(entry: dict[str, Any], keys: set[str], where: str) -> None:
    """Refuse keys that nothing reads."""
    unknown = sorted(set(entry) - keys)
    if unknown:
        raise TinyguardError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(keys))}")


def text(value: Any, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise TinyguardError(f"{where} is missing or not a text")
    return value


def one_of(value: Any, words: tuple[str, ...], where: str) -> str:
    """One of the words known."""
    if value not in words:
        raise TinyguardError(f"{where} is {value!r}; known: {', '.join(words)}")
    return str(value)


def number(value: Any, where: str, least: int = 1) -> int:
    """A whole number, `least` or more."""
    if type(value) is not int or value < least:
        raise TinyguardError(f"{where} is {value!r}, and a whole number from {least} on is needed")
    return value


def listed(value: Any) -> list[Any]:
    """Itself, or a list of the one value."""
    return value if isinstance(value, list) else [value]


def flag(value: Any, where: str) -> bool:
    """`value`, which must be true or false."""
    if not isinstance(value, bool):
        raise TinyguardError(f"{where} is {value!r}, and true or false is needed")
    return value
