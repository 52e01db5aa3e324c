# SPDX-License-Identifier: Apache-2.0
"""The exits of a network one by one: their layers, and what an answer there takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tinyguard.exits.stage_costs import Costs, stage_macs
from tinyguard.graph import Graph
from tinyguard.graph.multi_exit import exit_tensors, stages_of


@dataclass(frozen=True)
class ExitRow:
    """Exit number `exit`, from 1, whose scores the tensor `name` has.

    Its stage is the layers `first_layer` to `last_layer`, its gate included, of `macs` multiply-accumulates.
    `cost`: of an inference that leaves here, earlier heads included; `share`: the same as a fraction of the
    last exit's.
    """

    exit: int
    name: str
    first_layer: int
    last_layer: int
    macs: int
    cost: int
    share: float

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def exit_rows(graph: Graph, costs: Costs) -> tuple[ExitRow, ...]:
    """The exits of a network that has some, shallowest first."""
    columns = zip(
        stages_of(graph), exit_tensors(graph), stage_macs(graph), costs.up_to, costs.shares, strict=True
    )
    return tuple(
        ExitRow(number, tensor.name, stage.first, stage.end - 1, macs, cost, share)
        for number, (stage, tensor, macs, cost, share) in enumerate(columns, start=1)
    )
