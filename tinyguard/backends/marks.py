"""Answers that a network marks itself: abstentions of stochastic passes, detections of feature squeezing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyguard.graph import Graph

UNDECIDED = -1
"""The class of an answer that is marked: neither the label nor what an attacker wants."""

_MARKING = ("MONTE_CARLO_MEAN", "SQUEEZE_DISTANCE")  # the last element of their int32 output is the mark


def marks(graph: Graph) -> bool:
    """Whether the network's second output marks answers."""
    producer = graph.producer(graph.outputs[1]) if len(graph.outputs) > 1 else None
    return producer is not None and producer.operator in _MARKING


def marked(graph: Graph, outputs: Sequence[Any]) -> Any:
    """bool (N,): which of the answers the network marks, of arrays or tensors; None where it never does."""
    return outputs[1].reshape(len(outputs[1]), -1)[:, -1] != 0 if marks(graph) else None


def detects(graph: Graph) -> bool:
    """Whether the network compares its answers on squeezed versions of the input."""
    return any(node.operator == "SQUEEZE_DISTANCE" for node in graph.nodes)
