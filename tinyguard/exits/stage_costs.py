# SPDX-License-Identifier: Apache-2.0
"""What an inference costs that leaves at each exit: multiply-accumulates, or what a board counted."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.multi_exit import stages_of
from tinyguard.measure.bench import read_run
from tinyguard.operators import resolve

MACS = "MACs"


@dataclass(frozen=True)
class Costs:
    """`up_to`: of an inference that leaves at each exit, earlier heads included, in `unit`: "MACs",
    "instructions" or "cycles"."""

    up_to: tuple[int, ...]
    unit: str

    @property
    def shares(self) -> tuple[float, ...]:
        """The same as fractions of the last exit's."""
        return tuple(cost / self.up_to[-1] for cost in self.up_to)


def stage_macs(graph: Graph) -> tuple[int, ...]:
    """The multiply-accumulates of each stage of a network with exits."""
    macs = [operator.macs for operator in resolve(graph)]
    return tuple(sum(macs[stage.first : stage.end]) for stage in stages_of(graph))


def costs_in_macs(graph: Graph) -> Costs:
    """By the layers of a network with exits."""
    return Costs(tuple(accumulate(stage_macs(graph))), MACS)


def costs_of_run(path: Path, exits: int) -> Costs:
    """By what `tinyguard bench -o` wrote to `path`.

    Raises TinyguardError where that is no run of a network with so many exits.
    """
    run = read_run(path)
    counts = [stage.count for stage in run.stages]
    if len(counts) != exits or not all(type(count) is int and count > 0 for count in counts):
        raise TinyguardError(
            f"{path} is a run of {len(counts)} stages and the network has {exits}: measure it again with "
            "tinyguard bench MODEL --board B -o RUN.json"
        )
    return Costs(tuple(accumulate(counts)), run.unit)
