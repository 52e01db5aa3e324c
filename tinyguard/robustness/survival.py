# SPDX-License-Identifier: Apache-2.0
"""Adversarial inputs that work somewhere else and not on the device."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinyguard.backends import Backend
from tinyguard.errors import TinyguardError
from tinyguard.robustness.attacked_network import FloatBackend, Target
from tinyguard.robustness.intervals import wilson
from tinyguard.robustness.scoring import score


@dataclass(frozen=True)
class Survival:
    """`successes` inputs fool the back end `where`; `survived` of them fool the target's back end too,
    `lost` do not, and `gained` fool only the target's."""

    where: str
    backend: str
    samples: int
    successes: int
    survived: int
    lost: int
    gained: int

    def as_dict(self) -> dict[str, Any]:
        """For --json, with the 95 % interval of the fraction that survives."""
        share = self.survived / self.successes if self.successes else None
        return asdict(self) | {
            "survival_share": share,
            "ci95": list(wilson(self.survived, self.successes)),
        }


def survival(
    target: Target,
    codes: np.ndarray,
    labels: np.ndarray,
    where: Backend | str = "xnnpack",
    *,
    targets: np.ndarray | None = None,
    rows: np.ndarray | None = None,
) -> Survival:
    """Score adversarial `codes` (N, *shape) with labels int64 (N,) on `where` and on `target.backend`.

    `where` is "xnnpack" (the default interpreter of TensorFlow or LiteRT), "float" (the float source) or
    any back end; `rows` bool (N,) restricts the count, to initially correct samples for one. Raises
    TinyguardError where the float source or an interpreter is missing.
    """
    counted = np.ones(len(labels), bool) if rows is None else np.asarray(rows, bool)
    other = _backend(target, where) if isinstance(where, str) else where
    there = counted & _fooled(target, other, codes, labels, targets)
    here = counted & _fooled(target, target.backend, codes, labels, targets)
    return Survival(
        where=other.name,
        backend=target.backend.name,
        samples=int(counted.sum()),
        successes=int(there.sum()),
        survived=int((there & here).sum()),
        lost=int((there & ~here).sum()),
        gained=int((here & ~there).sum()),
    )


def _fooled(
    target: Target, backend: Backend, codes: np.ndarray, labels: np.ndarray, targets: np.ndarray | None
) -> np.ndarray:
    graph = None if isinstance(backend, FloatBackend) else target.graph
    return score(backend, codes, labels, graph=graph).fooled(labels, targets)


def _backend(target: Target, where: str) -> Backend:
    if where == "float":
        if target.float_victim is None:
            raise TinyguardError("survival from the float network needs it: type --source FILE")
        return FloatBackend(target.float_victim)
    if where == "xnnpack":
        from tinyguard.robustness.attacked_network import open_scored

        return open_scored(where, target.path, target.graph)
    raise TinyguardError(f"no back end named {where!r} to survive from; known: xnnpack, float")
