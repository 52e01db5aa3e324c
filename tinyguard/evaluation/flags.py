"""Answers that a network marks itself: abstentions of stochastic passes, detections of feature squeezing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyguard.evaluation.agreement import predictions
from tinyguard.graph import Graph

_MARKING = ("MONTE_CARLO_MEAN", "SQUEEZE_DISTANCE")  # the last element of their int32 output is the mark


@dataclass(frozen=True)
class Flags:
    """`share` of the answers that are marked; `accuracy_of_kept` of the others, None where unknown."""

    share: float
    accuracy_of_kept: float | None


def marked(graph: Graph, outputs: Sequence[np.ndarray]) -> np.ndarray | None:
    """bool (N,): which of the answers the network marks; None where it marks none ever."""
    if len(graph.outputs) < 2:
        return None
    producer = graph.producer(graph.outputs[1])
    if producer is None or producer.operator not in _MARKING:
        return None
    return np.asarray(outputs[1].reshape(len(outputs[1]), -1)[:, -1] != 0)


def flags_of(graph: Graph, outputs: Sequence[np.ndarray], labels: np.ndarray | None) -> Flags | None:
    """What the marks of outputs (N, ...) come to, with labels (N,) or None; None for networks without any."""
    found = marked(graph, outputs)
    if found is None:
        return None
    right = None if labels is None or found.all() else float((predictions(outputs) == labels)[~found].mean())
    return Flags(float(found.mean()), right)
