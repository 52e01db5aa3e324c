# SPDX-License-Identifier: Apache-2.0
"""What a stochastic network keeps when it abstains above a predictive entropy, for every threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyguard.backends import Backend
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.answer import ENTROPY_UNITS, UNCERTAINTY, decide, tensors_of
from tinyguard.graph.multi_exit import exit_tensors

_BATCH = 256
_LEAST_KEPT = 0.05  # below, a few samples decide
QUANTILES = tuple(np.arange(1.0, _LEAST_KEPT - 1e-9, -0.05).round(2))


@dataclass(frozen=True)
class Kept:
    """Above `bits` of predictive entropy the network abstains: the fraction of samples `kept` and their
    `accuracy`."""

    bits: float
    kept: float
    accuracy: float


def abstention(graph: Graph, backend: Backend, codes: np.ndarray, labels: np.ndarray) -> tuple[Kept, ...]:
    """The thresholds that keep all, 95 %, 90 %, ... of the samples (N, *shape), loosest first.

    `backend` runs `graph`. Samples of one entropy are kept or not together, so fractions are those that can
    be had. Raises TinyguardError for a network without stochastic passes.
    """
    if exit_tensors(graph):
        raise TinyguardError(
            "abstention needs the entropies of a stochastic network, and this one has exits: type tinyguard "
            "exits to set how sure each must be"
        )
    if not tensors_of(graph, UNCERTAINTY):
        raise TinyguardError(
            "abstention needs the entropies of a stochastic network: type tinyguard harden stochastic first"
        )
    starts = range(0, len(codes), _BATCH)
    parts = [decide(graph, backend.run(codes[start : start + _BATCH])) for start in starts]
    right = np.concatenate([part.label for part in parts]) == labels
    entropy = np.concatenate([part.beside[UNCERTAINTY.name][0][:, 0] for part in parts])
    ordered = np.sort(entropy)
    kept: dict[int, Kept] = {}
    for share in QUANTILES:
        threshold = int(ordered[max(0, round(share * len(ordered)) - 1)])
        below = entropy <= threshold
        kept[threshold] = Kept(threshold / ENTROPY_UNITS, float(below.mean()), float(right[below].mean()))
    return tuple(kept.values())
