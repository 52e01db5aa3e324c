# SPDX-License-Identifier: Apache-2.0
"""How far two back ends agree on the same inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyguard.graph import Graph
from tinyguard.graph.answer import decide, has_answer
from tinyguard.graph.lengths import clear_unused


@dataclass(frozen=True)
class Agreement:
    """`differing_bytes` over all outputs, `differing_predictions` in samples, None where no class follows
    from the outputs."""

    samples: int
    differing_bytes: int
    differing_predictions: int | None


def agreement(graph: Graph, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> Agreement:
    """Compare what two back ends give for the network of `graph`: arrays (N, ...) of one dtype and shape.

    Of outputs of variable length the used bytes are compared."""
    first, second = clear_unused(graph, first), clear_unused(graph, second)
    apart = None
    if has_answer(graph):
        apart = int((decide(graph, first).label != decide(graph, second).label).sum())
    return Agreement(
        samples=len(first[0]),
        differing_bytes=sum(differing_bytes(a, b) for a, b in zip(first, second, strict=True)),
        differing_predictions=apart,
    )


def differing_bytes(first: np.ndarray, second: np.ndarray) -> int:
    """Bytes that differ between two arrays of one dtype and shape.

    Of outputs of variable length the used bytes are compared."""
    if first.dtype != second.dtype or first.shape != second.shape:
        raise ValueError(f"{first.dtype}{first.shape} against {second.dtype}{second.shape}")
    a, b = (np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in (first, second))
    return int((a != b).sum())
