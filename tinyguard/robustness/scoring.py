# SPDX-License-Identifier: Apache-2.0
"""What a back end decides about stored inputs: predictions, and which of them are only ties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinyguard.backends import Backend
from tinyguard.graph import Graph
from tinyguard.graph.answer import UNDECIDED, Answer, decide
from tinyguard.graph.multi_exit import TAKEN, decision_of, exit_tensors

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Scores:
    """`decided` int64 (N,): the lowest index among the maxima of `scores`, UNDECIDED where the network marks
    its answer. `tied` bool (N,): the label's own score is one of the maxima, and another class is decided.
    `scores` (N, classes). `exit` int64 (N,): the exit that was taken, from 1, in a network with exits."""

    decided: np.ndarray
    tied: np.ndarray
    scores: np.ndarray
    exit: np.ndarray | None = None

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
    """Run `backend` on inputs (N, *shape), as it takes them, with labels int64 (N,). `graph`: what its
    outputs mean; None for a back end whose one output is scores, as a float source has them."""
    if not len(inputs):
        return Scores(np.zeros(0, np.int64), np.zeros(0, bool), np.zeros((0, 0), np.int8))
    outputs = outputs_of(backend, inputs, progress)
    if graph is not None:
        return scores_of(graph, outputs, labels)
    (scores,) = outputs
    return _judged(Answer(scores.argmax(axis=1), scores), labels)


def outputs_of(
    backend: Backend, inputs: np.ndarray, progress: Callable[[int], None] = lambda done: None
) -> tuple[np.ndarray, ...]:
    """What `backend` gives for inputs (N, *shape), N at least 1: an array (N, ...) per output."""
    parts: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(inputs), _BATCH):
        parts.append(backend.run(inputs[start : start + _BATCH]))
        progress(min(start + _BATCH, len(inputs)))
    return tuple(np.concatenate(pieces) for pieces in zip(*parts, strict=True))


def scores_of(graph: Graph, outputs: Sequence[np.ndarray], labels: np.ndarray) -> Scores:
    """`Scores` of outputs (N, ...) of the network of `graph` that are there already."""
    scores = _judged(decide(graph, outputs), labels)
    if not exit_tensors(graph):
        return scores
    return replace(scores, exit=decision_of(graph, outputs)[:, TAKEN].astype(np.int64))


def _judged(answer: Answer, labels: np.ndarray) -> Scores:
    scores, decided = answer.scores, answer.decided
    own = scores[np.arange(len(labels)), labels]
    tied = (own == scores.max(axis=1)) & (decided != labels) & (decided != UNDECIDED)
    return Scores(decided, tied, scores)
