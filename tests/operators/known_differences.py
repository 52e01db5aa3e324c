# SPDX-License-Identifier: Apache-2.0
"""Reads tests/known_differences.toml: where runtimes differ from the oracle, who is right and why.

An entry holds `operator` (a TFLite name), `scheme`, `runtime` (the one that is wrong: "tf" or
"tflm"), `reason`, and either `largest` (the largest difference, in codes) with `share` (the largest
share of elements that differ, over the cases of one test) or, where the runtime does not take some of
the files, `refused`: words of its message.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

PATH = Path(__file__).parent.parent / "known_differences.toml"


@dataclass(frozen=True)
class KnownDifference:
    operator: str
    scheme: str
    runtime: str
    reason: str
    largest: int = 0
    share: float = 0.0
    refused: str = ""

    def __post_init__(self) -> None:
        assert self.runtime in ("tf", "tflm"), f"runtime {self.runtime}"
        assert self.scheme in ("int8", "int16x8"), f"scheme {self.scheme}"
        assert self.reason, "a reason is needed"
        assert self.refused or (self.largest > 0 and 0 < self.share <= 1), "largest and share are needed"


@cache
def known_differences() -> tuple[KnownDifference, ...]:
    entries = tomllib.loads(PATH.read_text()).get("difference", [])
    return tuple(KnownDifference(**entry) for entry in entries)


def known(operators: Sequence[str], scheme: str, runtime: str) -> list[KnownDifference]:
    """The entries for any of these operators."""
    return [
        d
        for d in known_differences()
        if d.operator in operators and d.scheme == scheme and d.runtime == runtime
    ]


@dataclass
class Tally:
    """What one runtime's differences over many cases add up to."""

    elements: int = 0
    differing: int = 0
    largest: int = 0
    refusals: list[str] = field(default_factory=list)

    def count(self, expected: np.ndarray, actual: np.ndarray) -> None:
        gap = np.abs(expected.astype(np.float64) - actual.astype(np.float64))
        self.elements += gap.size
        self.differing += int(np.count_nonzero(gap))
        self.largest = max(self.largest, int(np.ceil(gap.max(initial=0))))

    @property
    def share(self) -> float:
        return self.differing / max(1, self.elements)

    def excess(self, allowed: Sequence[KnownDifference]) -> str:
        """What goes beyond the known differences, or an empty string."""
        words = [d.refused for d in allowed if d.refused]
        unexplained = [r for r in self.refusals if not any(w in r for w in words)]
        if unexplained:
            return f"{len(unexplained)} files refused: {unexplained[0]}"
        largest = max((d.largest for d in allowed), default=0)
        share = max((d.share for d in allowed), default=0.0)
        if self.largest > largest or self.share > share:
            return (
                f"{self.differing} of {self.elements} elements differ (share {self.share:.2g}) by up to "
                f"{self.largest}; known: share {share:.2g} by up to {largest}"
            )
        return ""
