"""What a back end decides about stored inputs: predictions, and which of them are only ties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyguard.backends import Backend
from tinyguard.evaluation.agreement import predictions

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Scores:
    """`decided` int64 (N,): the lowest index among the maxima of the first output. `tied` bool (N,): the
    label's own output is one of the maxima, and another class is decided. `outputs` (N, classes)."""

    decided: np.ndarray
    tied: np.ndarray
    outputs: np.ndarray


def score(
    backend: Backend,
    inputs: np.ndarray,
    labels: np.ndarray,
    progress: Callable[[int], None] = lambda done: None,
) -> Scores:
    """Run `backend` on inputs (N, *shape), as it takes them, with labels int64 (N,)."""
    parts = []
    for start in range(0, len(inputs), _BATCH):
        parts.append(backend.run(inputs[start : start + _BATCH])[0])
        progress(min(start + _BATCH, len(inputs)))
    if not parts:
        return Scores(np.zeros(0, np.int64), np.zeros(0, bool), np.zeros((0, 0), np.int8))
    return scores_of(np.concatenate(parts), labels)


def scores_of(outputs: np.ndarray, labels: np.ndarray) -> Scores:
    """`Scores` of first outputs (N, ...) that are there already."""
    outputs = outputs.reshape(len(outputs), -1)
    decided = predictions((outputs,))
    own = outputs[np.arange(len(labels)), labels]
    tied = (own == outputs.max(axis=1)) & (decided != labels)
    return Scores(decided, tied, outputs)
