# SPDX-License-Identifier: Apache-2.0
"""A network with several exits: which tensors they are, and the stages that its layers form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph.answer import DECISION, EXIT, before_ending, tensors_of
from tinyguard.graph.graph import Graph, Tensor

TAKEN, PROBABILITY, ENTROPY, MARGIN = range(4)
"""The elements of a decision: the exit taken, from 1 (0: none yet), and what that exit measured: its largest
probability in 1/256, its entropy in 1/1024 bit, the difference of its two largest logits in codes."""
DECISION_ELEMENTS = 4


@dataclass(frozen=True)
class Stage:
    """Layers `first` up to, not including, `end`, after which the network may have answered."""

    name: str
    first: int
    end: int

    @property
    def layers(self) -> range:
        return range(self.first, self.end)


def exit_tensors(graph: Graph) -> tuple[Tensor, ...]:
    """What each exit says when it is computed, whatever was decided before: softmax codes, shallowest first;
    empty for a network without exits."""
    return tuple(graph.tensors[index] for index in tensors_of(graph, EXIT))


def logits_tensors(graph: Graph) -> tuple[Tensor, ...]:
    """The logits of each exit."""
    found = [before_ending(graph, tensor.index) for tensor in exit_tensors(graph)]
    return tuple(graph.tensors[index] for index in found if index is not None)


def check_exits(graph: Graph) -> int:
    """The number of exits. Raises TinyguardError for a network without."""
    count = len(tensors_of(graph, EXIT))
    if not count:
        raise TinyguardError(
            "the network has no exits: type tinyguard quantize SOURCE --exits auto for one with several "
            "outputs of one size"
        )
    return count


def stages_of(graph: Graph) -> tuple[Stage, ...]:
    """The stages in their order, each ending with the layer that decides; empty for a network without."""
    deciding = set(tensors_of(graph, DECISION))
    ends = [place + 1 for place, node in enumerate(graph.nodes) if deciding.intersection(node.outputs)]
    return tuple(
        Stage(f"exit {number + 1}", ends[number - 1] if number else 0, end) for number, end in enumerate(ends)
    )


def decision_of(graph: Graph, outputs: Sequence[Any]) -> Any:
    """The decisions (N, DECISION_ELEMENTS) among the outputs (N, ...) of a network with exits."""
    place = next(place for place, index in enumerate(graph.outputs) if index in tensors_of(graph, DECISION))
    return outputs[place].reshape(-1, DECISION_ELEMENTS)


def taken_of(graph: Graph, outputs: Sequence[Any]) -> Any:
    """The exit, from 0, that each of the N samples took by the outputs (N, ...) of a network with exits."""
    return decision_of(graph, outputs)[:, TAKEN] - 1


def answer_kind(graph: Graph) -> str:
    """What a network with exits answers: "taken", the scores of the exit taken, or "mean", those of the exits
    up to it."""
    return str(graph.nodes[stages_of(graph)[-1].end - 1].options["answer"])
