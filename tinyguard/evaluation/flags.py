"""What the marks of a network's answers come to: abstentions and detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyguard.backends.marks import marked
from tinyguard.evaluation.agreement import predictions
from tinyguard.graph import Graph


@dataclass(frozen=True)
class Flags:
    """`share` of the answers that are marked; `accuracy_of_kept` of the others, None where unknown."""

    share: float
    accuracy_of_kept: float | None


def flags_of(graph: Graph, outputs: Sequence[np.ndarray], labels: np.ndarray | None) -> Flags | None:
    """What the marks of outputs (N, ...) come to, with labels (N,) or None; None for networks without any."""
    found = marked(graph, outputs)
    if found is None:
        return None
    right = None if labels is None or found.all() else float((predictions(outputs) == labels)[~found].mean())
    return Flags(float(found.mean()), right)
