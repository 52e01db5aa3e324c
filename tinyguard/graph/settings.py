# SPDX-License-Identifier: Apache-2.0
"""Settings: named whole numbers that layers read when they run, and that may change between inferences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tinyguard.errors import TinyguardError

KINDS = ("bool", "int32", "uint64", "int32[]")
_WIDEST = {
    "bool": (0, 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint64": (0, 2**64 - 1),
    "int32[]": (-(2**31), 2**31 - 1),
}


@dataclass(frozen=True)
class Setting:
    """One setting. `value`: an entry, or as many as an array has; as read, the file's. `kind`: one of KINDS.

    `ranges` holds the lowest and the highest value of each entry, both included. `drawn`: a board with a
    random number generator draws a new value before every inference until somebody gives one; "uint64" of the
    whole range alone.
    Raises TinyguardError for a declaration that contradicts itself.
    """

    name: str
    kind: str
    value: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]
    drawn: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TinyguardError(f"setting {self.name} of the kind {self.kind!r}; known: {', '.join(KINDS)}")
        low, high = _WIDEST[self.kind]
        scalar = self.kind != "int32[]"
        fits = all(low <= least <= most <= high for least, most in self.ranges)
        if (
            not fits
            or len(self.ranges) != len(self.value)
            or not self.value
            or (scalar and len(self.value) != 1)
        ):
            raise TinyguardError(
                f"setting {self.name} has {len(self.value)} values and the ranges {self.ranges}"
            )
        if self.drawn and (self.kind != "uint64" or self.ranges != (_WIDEST["uint64"],)):
            raise TinyguardError(f"setting {self.name} is drawn, and only uint64 of the whole range can be")
        self.check(self.value)

    def check(self, value: tuple[int, ...]) -> None:
        """Raise TinyguardError, in one line, where the setting cannot have this value."""
        if len(value) != len(self.ranges):
            raise TinyguardError(f"setting {self.name} takes {len(self.ranges)} values and got {len(value)}")
        for number, (low, high) in zip(value, self.ranges, strict=True):
            if not low <= number <= high:
                raise TinyguardError(f"setting {self.name} takes {low} to {high} and got {number}")


def checked(
    settings: Iterable[Setting], values: Mapping[str, int | Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    """`values` as tuples of entries. Raises TinyguardError for an unknown name or a value out of range."""
    known = {setting.name: setting for setting in settings}
    entries = {}
    for name, value in values.items():
        if name not in known:
            there = f"known: {', '.join(known)}" if known else "the network has none"
            raise TinyguardError(f"no setting named {name!r}; {there}")
        entries[name] = tuple(map(int, value)) if isinstance(value, Sequence) else (int(value),)
        known[name].check(entries[name])
    return entries


def values_of(settings: Iterable[Setting]) -> dict[str, tuple[int, ...]]:
    """The values in force, by name."""
    return {setting.name: setting.value for setting in settings}


def parse_value(text: str) -> tuple[str, tuple[int, ...]]:
    """NAME=VALUE or NAME=1,2,3 as people type it; whole numbers, true and false, 0x for hexadecimal."""
    name, sign, entries = text.partition("=")
    words = {"true": 1, "false": 0}
    try:
        value = tuple(
            words[entry] if entry in words else int(entry, 0)
            for entry in (part.strip().lower() for part in entries.split(","))
        )
    except ValueError:
        value = ()
    if not (name and sign and value):
        raise TinyguardError(f"{text!r} sets nothing; type NAME=VALUE, or NAME=1,2,3 for an array")
    return name.strip(), value


def to_words(kind: str, entries: Iterable[int]) -> list[int]:
    """The 32-bit words of entries, as a board keeps them: of a uint64 two, the low one first."""
    if kind != "uint64":
        return [entry & 0xFFFFFFFF for entry in entries]
    return [half for entry in entries for half in (entry & 0xFFFFFFFF, entry >> 32)]


def from_words(kind: str, words: Sequence[int]) -> tuple[int, ...]:
    """The inverse of `to_words`."""
    if kind != "uint64":
        return tuple(word - (word >> 31 << 32) for word in words)
    return tuple(low | high << 32 for low, high in zip(words[::2], words[1::2], strict=True))
