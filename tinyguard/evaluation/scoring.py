"""What a back end decides about stored inputs: predictions, and which of them are only ties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinyguard.backends import Backend
from tinyguard.backends.marks import UNDECIDED, marked
from tinyguard.evaluation.agreement import predictions
from tinyguard.graph import Graph

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Scores:
    """`decided` int64 (N,): the lowest index among the maxima of the first output, UNDECIDED where the
    network marks its answer. `tied` bool (N,): the label's own output is one of the maxima, and another class
    is decided. `outputs` (N, classes)."""

    decided: np.ndarray
    tied: np.ndarray
    outputs: np.ndarray

    def fooled(self, labels: np.ndarray, targets: np.ndarray | None) -> np.ndarray:
        """bool (N,): whether that is what an attacker wants; `targets` int64 (N,) or None."""
        if targets is not None:
            return np.asarray(self.decided == targets)
        return (self.decided != labels) & (self.decided != UNDECIDED)


def score(
    backend: Backend,
    inputs: np.ndarray,
    labels: np.ndarray,
    progress: Callable[[int], None] = lambda done: None,
    graph: Graph | None = None,
) -> Scores:
    """Run `backend` on inputs (N, *shape), as it takes them, with labels int64 (N,). `graph`: that of the
    network, where its marks count."""
    parts: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(inputs), _BATCH):
        outputs = backend.run(inputs[start : start + _BATCH])
        parts.append(outputs[:1] if graph is None else outputs)
        progress(min(start + _BATCH, len(inputs)))
    if not parts:
        return Scores(np.zeros(0, np.int64), np.zeros(0, bool), np.zeros((0, 0), np.int8))
    joined = tuple(np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    return scores_of(joined[0], labels) if graph is None else with_marks(graph, joined, labels)


def with_marks(graph: Graph, outputs: Sequence[np.ndarray], labels: np.ndarray) -> Scores:
    """`Scores` of all outputs (N, ...) of the network of `graph`."""
    scores, flags = scores_of(outputs[0], labels), marked(graph, outputs)
    if flags is None:
        return scores
    return replace(scores, decided=np.where(flags, UNDECIDED, scores.decided), tied=scores.tied & ~flags)


def scores_of(outputs: np.ndarray, labels: np.ndarray) -> Scores:
    """`Scores` of first outputs (N, ...) that are there already, marks aside."""
    outputs = outputs.reshape(len(outputs), -1)
    decided = predictions((outputs,))
    own = outputs[np.arange(len(labels)), labels]
    tied = (own == outputs.max(axis=1)) & (decided != labels)
    return Scores(decided, tied, outputs)
