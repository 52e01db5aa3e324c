# SPDX-License-Identifier: Apache-2.0
"""What a run says of a network's exits: which were taken, how right they are, what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinyguard.backends import OpenBackend
from tinyguard.exits.figures import PolicyFigures, figures_of
from tinyguard.exits.measured import measure
from tinyguard.exits.stage_costs import Costs, costs_in_macs
from tinyguard.graph import Graph
from tinyguard.graph.answer import decide
from tinyguard.graph.exit_policy import only_exit
from tinyguard.graph.multi_exit import answer_kind, exit_tensors, taken_of
from tinyguard.graph.settings import values_of

if TYPE_CHECKING:
    from tinyguard.device.client import Device


def exit_figures(
    graph: Graph,
    exact: OpenBackend,
    codes: np.ndarray,
    outputs: Sequence[np.ndarray],
    labels: np.ndarray | None,
    costs: Costs | None = None,
) -> PolicyFigures | None:
    """Of `outputs` (N, ...) that a back end gave for `codes`; None for a network without exits.

    Every exit on all samples is that of the `exact` network, since a device computes none after the one
    taken. `costs` are those in MACs where they are not given.
    """
    if not exit_tensors(graph):
        return None
    right = anytime = None
    if labels is not None:
        right = decide(graph, outputs).label == labels
        anytime = measure(graph, codes, simulator=exact).said(answer_kind(graph)) == labels[:, None]
    return figures_of(_taken(graph, outputs), costs or costs_in_macs(graph), right, anytime)


def costs_on_board(
    graph: Graph, device: Device, outputs: Sequence[np.ndarray], counts: Sequence[int], sample: np.ndarray
) -> Costs | None:
    """What a connected board takes for an answer of each exit, from the counts (N,) of a run, negative where
    they say nothing; None for a network without exits, and where the counter stands still.

    Of an exit that no counted sample took, `sample` is counted under the policy of that exit alone, and the
    board has the policy of `graph` again afterwards.
    """
    if not exit_tensors(graph):
        return None
    counted, taken = np.asarray(counts), _taken(graph, outputs)
    up_to = []
    for place in range(len(exit_tensors(graph))):
        here = counted[(taken == place) & (counted >= 0)]
        up_to.append(round(float(here.mean())) if len(here) else _count_at(graph, device, place, sample))
    return Costs(tuple(up_to), device.description.unit) if min(up_to) > 0 else None


def _count_at(graph: Graph, device: Device, place: int, sample: np.ndarray) -> int:
    alone = only_exit(place + 1, len(exit_tensors(graph))).values()
    before = values_of(graph.settings)
    try:
        device.set(alone)
        return device.infer(sample).count
    finally:
        device.set({name: before[name] for name in alone})


def _taken(graph: Graph, outputs: Sequence[np.ndarray]) -> np.ndarray:
    """int64 (N,), from 0; a back end that names an exit that is not there differs in some byte, and is told
    so elsewhere."""
    return np.clip(taken_of(graph, outputs), 0, len(exit_tensors(graph)) - 1).astype(np.int64)
