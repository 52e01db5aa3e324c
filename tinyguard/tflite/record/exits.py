# SPDX-License-Identifier: Apache-2.0
"""Several exits: which outputs they are and when the network answers, in the record and as layers.

    {"exits": {"outputs": [0, 1, 2], "policy": "confidence", "thresholds": [230, 200], "answer": "taken"}}

`outputs` are numbers of the file's outputs, shallowest exit first; policies and thresholds are those of
`graph/exit_policy.py`, in force until somebody sets others; `answer` is "taken", the scores of the exit that
was taken, or "mean", those of the exits up to it.

Reading puts the layers in stages: all that exit 1 needs and a gate, then what exit 2 needs beyond and a gate,
and so on. Output 0 is the answer, output 1 the decision (`graph/multi_exit.py`), and the exits' own scores
follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tinyguard.arithmetic.entropy import LEVELS
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node, Tensor
from tinyguard.graph.answer import DECISION, EXIT, EXIT_SCORES, SCORES, before_ending, listing
from tinyguard.graph.exit_policy import Policy, settings_of
from tinyguard.graph.multi_exit import DECISION_ELEMENTS
from tinyguard.operators import resolve
from tinyguard.operators.exit_gate import ANSWERS, state_elements
from tinyguard.tflite.record.section import Section

MOST_EXITS = 16
_KEYS = {"outputs", "policy", "thresholds", "answer"}


@dataclass(frozen=True)
class Exits:
    """`outputs`: numbers of the file's outputs, shallowest first; `answer`: one of ANSWERS."""

    outputs: tuple[int, ...]
    policy: Policy
    answer: str = "taken"

    def as_json(self) -> dict[str, Any]:
        return {
            "outputs": list(self.outputs),
            "policy": self.policy.kind,
            "thresholds": list(self.policy.thresholds),
            "answer": self.answer,
        }


def exits_from_json(section: Any) -> Exits:
    """The section of the metadata. Raises TinyguardError for what this version cannot run."""
    if not isinstance(section, dict) or set(section) != _KEYS:
        raise TinyguardError(
            f"tinyguard metadata: exits needs {', '.join(sorted(_KEYS))} and nothing else; set the policy "
            "again with tinyguard exits, or update tinyguard"
        )
    outputs, thresholds = section["outputs"], section["thresholds"]
    for name, numbers in (("outputs", outputs), ("thresholds", thresholds)):
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            raise TinyguardError(f"tinyguard metadata: exits has {name} that are no list of whole numbers")
    if not 2 <= len(outputs) <= MOST_EXITS:
        raise TinyguardError(f"tinyguard metadata: exits takes 2 to {MOST_EXITS} outputs, got {len(outputs)}")
    if len(set(outputs)) != len(outputs):
        raise TinyguardError("tinyguard metadata: exits names one output twice")
    if not isinstance(section["policy"], str) or section["answer"] not in ANSWERS:
        raise TinyguardError(
            f"tinyguard metadata: exits has no policy by name, or an answer other than {', '.join(ANSWERS)}"
        )
    return Exits(tuple(outputs), Policy(section["policy"], tuple(thresholds)), section["answer"])


def shallowest_first(graph: Graph) -> tuple[int, ...]:
    """The numbers of the outputs of a network without exits, by the multiply-accumulates of all layers that
    each needs; those of equal cost as they are. Raises TinyguardError for layers that tinyguard lacks."""
    macs = _macs(graph, [_needed(graph, index) for index in graph.outputs])
    return tuple(sorted(range(len(macs)), key=macs.__getitem__))


def insert_gates(graph: Graph, exits: Exits) -> Graph:
    """The graph in stages, a gate after each exit. Raises TinyguardError for outputs that are no exits."""
    scores = _scores(graph, exits)
    stages = _stages(graph, [tensor.index for tensor in scores])
    exits.policy.check(len(scores), scores[0].elements)
    builder = _Staged(graph, exits, scores)
    for number, stage in enumerate(stages, start=1):
        builder.add_stage(stage, number)
    return builder.graph()


def _scores(graph: Graph, exits: Exits) -> list[Tensor]:
    for number in exits.outputs:
        if not 0 <= number < len(graph.outputs):
            raise TinyguardError(
                f"exit at output {number}, which is not there; the outputs are {listing(graph)}"
            )
    left = set(range(len(graph.outputs))).difference(exits.outputs)
    if left:
        raise TinyguardError(
            f"output {min(left)} is no exit, and would not be computed when an earlier exit is taken: leave "
            "it out of the network"
        )
    tensors = [graph.tensors[graph.outputs[number]] for number in exits.outputs]
    for tensor in tensors:
        if tensor.dtype == "int16":
            raise TinyguardError(f"exit '{tensor.name}' is int16: exits take an int8 network")
        softmax = before_ending(graph, tensor.index) is not None and tensor.scale == 1 / LEVELS
        if tensor.dtype != "int8" or not softmax or tensor.elements < 2:
            raise TinyguardError(
                f"exit '{tensor.name}' is no int8 softmax, scale 1/{LEVELS}, of two classes or more, which "
                "policies measure: end every exit in a softmax"
            )
    sizes = [tensor.elements for tensor in tensors]
    if len(set(sizes)) > 1:
        raise TinyguardError(f"exits have one number of classes, and these have {', '.join(map(str, sizes))}")
    return tensors


def _stages(graph: Graph, exits: Sequence[int]) -> list[list[Node]]:
    """What each exit needs beyond those before it, in the order of the file."""
    needed = [_needed(graph, index) for index in exits]
    costs = _macs(graph, needed)
    for place in range(len(exits) - 1):
        names = [f"'{graph.tensors[index].name}'" for index in exits[place : place + 2]]
        shared = needed[place] & set().union(*needed[place + 1 :])
        if costs[place + 1] <= costs[place] or not shared <= needed[place + 1]:
            raise TinyguardError(
                f"exit {place + 2} {names[1]} does not go on from exit {place + 1} {names[0]}: "
                f"{costs[place + 1]:,} and {costs[place]:,} multiply-accumulates; "
                + (
                    "name the shallowest first"
                    if costs[place + 1] < costs[place]
                    else "leave one of them out"
                )
            )
    stages, done = [], set[int]()
    for numbers in needed:
        stages.append([node for node in graph.nodes if node.index in numbers - done])
        done |= numbers
    return stages


def _needed(graph: Graph, tensor: int) -> set[int]:
    """Indices of the nodes that the tensor depends on."""
    wanted, numbers = {tensor}, set[int]()
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            numbers.add(node.index)
    return numbers


def _macs(graph: Graph, layers: Sequence[set[int]]) -> list[int]:
    """The multiply-accumulates of each set of nodes, by their indices."""
    macs = {operator.node.index: operator.macs for operator in resolve(graph)}
    return [sum(macs[number] for number in numbers) for numbers in layers]


class _Staged:
    """Nodes and tensors of the graph in the making."""

    def __init__(self, graph: Graph, exits: Exits, scores: Sequence[Tensor]) -> None:
        self.origin, self.exits, self.scores = graph, exits, scores
        self.tensors, self.nodes = list(graph.tensors), list[Node]()
        self.decisions: list[int] = []
        self.before: tuple[int, ...] = ()

    def add_stage(self, nodes: Sequence[Node], number: int) -> None:
        """The layers of a stage, and its gate."""
        self.nodes += [replace(node, index=len(self.nodes) + place) for place, node in enumerate(nodes)]
        scores, count = self.scores[number - 1], len(self.scores)
        logits = before_ending(self.origin, scores.index)
        assert logits is not None
        state = self._tensor(f"state at exit {number}", state_elements(self.exits.answer, scores.elements))
        answer = self._tensor(f"answer at exit {number}")
        decision = self._tensor(f"decision at exit {number}", DECISION_ELEMENTS)
        shown = [self._tensor(f"exit {place + 1} at exit {number}") for place in range(count)]
        inputs = (scores.index, logits, *self.before)
        options = MappingProxyType({"exit": number, "exits": count, "answer": self.exits.answer})
        outputs = (answer, decision, *shown, state)
        self.nodes.append(Node(len(self.nodes), "EXIT_GATE", inputs, outputs, options))
        self.before = (state, answer, decision, *shown)
        self.decisions.append(decision)

    def _tensor(self, name: str, integers: int | None = None) -> int:
        """One like the scores, or of so many int32; its index."""
        index, like = len(self.tensors), self.scores[0]
        made = replace(like, index=index, name=name)
        if integers is not None:
            made = replace(made, shape=(1, integers), dtype="int32", quantization=None)
        self.tensors.append(made)
        return index

    def graph(self) -> Graph:
        _, answer, decision, *shown = self.before
        stated = {answer: SCORES.name}
        stated |= dict.fromkeys(self.decisions, DECISION.name)
        stated |= dict.fromkeys(shown, EXIT_SCORES.name)
        stated |= {tensor.index: EXIT.name for tensor in self.scores}
        settings = settings_of(self.exits.policy, len(self.scores), self.scores[0].elements)
        kept = {index: role for index, role in self.origin.roles.items() if index not in stated}
        return replace(
            self.origin,
            tensors=tuple(self.tensors),
            nodes=tuple(self.nodes),
            outputs=(answer, decision, *shown),
            roles=MappingProxyType({**kept, **stated}),
            settings=(*self.origin.settings, *settings),
        )


SECTION = Section(
    "exits",
    "exits",
    exits_from_json,
    Exits.as_json,
    insert=insert_gates,
    place="network",
)
