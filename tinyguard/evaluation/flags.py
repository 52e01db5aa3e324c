# SPDX-License-Identifier: Apache-2.0
"""What the marks of a network's answers come to: abstentions and detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyguard.graph import Graph
from tinyguard.graph.answer import decide, has_answer


@dataclass(frozen=True)
class Flags:
    """`share` of the answers that are marked; `accuracy_of_kept` of the others, None where unknown."""

    share: float
    accuracy_of_kept: float | None


def flags_of(graph: Graph, outputs: Sequence[np.ndarray], labels: np.ndarray | None) -> Flags | None:
    """What the marks of outputs (N, ...) come to, with labels (N,) or None; None for networks without any."""
    answer = decide(graph, outputs) if has_answer(graph) else None
    if answer is None or answer.marked is None:
        return None
    kept = ~answer.marked
    right = None if labels is None or not kept.any() else float((answer.label == labels)[kept].mean())
    return Flags(float(answer.marked.mean()), right)
