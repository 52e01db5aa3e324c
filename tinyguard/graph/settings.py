"""Settings: named whole numbers that layers read when they run, and that may change between inferences."""

from __future__ import annotations

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
    """One setting. `value` is the file's: an entry, or as many as an array has. `kind` is one of KINDS.

    `ranges` holds the lowest and the highest value of each entry, both included. `drawn`: a board with a
    random number generator draws a new value before every inference until somebody gives one; "uint64" alone.
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
        one = self.kind != "int32[]"
        fits = all(low <= least <= most <= high for least, most in self.ranges)
        if (
            not fits
            or len(self.ranges) != len(self.value)
            or not self.value
            or (one and len(self.value) != 1)
        ):
            raise TinyguardError(
                f"setting {self.name} has {len(self.value)} values and the ranges {self.ranges}"
            )
        if self.drawn and self.kind != "uint64":
            raise TinyguardError(f"setting {self.name} is drawn, and only uint64 can be")
        self.check(self.value)

    def check(self, value: tuple[int, ...]) -> None:
        """Raise TinyguardError, in one line, where the setting cannot have this value."""
        if len(value) != len(self.ranges):
            raise TinyguardError(f"setting {self.name} takes {len(self.ranges)} values and got {len(value)}")
        for number, (low, high) in zip(value, self.ranges, strict=True):
            if not low <= number <= high:
                raise TinyguardError(f"setting {self.name} takes {low} to {high} and got {number}")
