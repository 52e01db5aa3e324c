# SPDX-License-Identifier: Apache-2.0
"""What a network's outputs mean: the role of each, and the answer that they give together.

A role is stated by whoever adds an output (a section of the metadata record, the layers it becomes), or
follows from what a plain file shows. Nothing else in tinyguard reads an output by its position.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor, prod
from types import MappingProxyType
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph.graph import Graph, Tensor
from tinyguard.plugins import brought, taken

UNDECIDED = -1
"""The class of an answer that is marked: neither the label nor what an attacker wants."""

ENTROPY_UNITS = 1024  # of a bit, in outputs of the role `uncertainty`

_WITHOUT_MEANING = ("DEQUANTIZE", "RESHAPE")  # between a network's last function and its output


@dataclass(frozen=True)
class Role:
    """What an output is for. Its functions take codes (N, elements), NumPy arrays and torch tensors alike.

    `scores`: codes and their tensor to scores (N, classes), of which the lowest index among the largest is
    the class; None where no class follows. `marks`: codes to bool (N,), which answers the network marks
    itself; None where it never does. `beside`: it says something about the answer and cannot be it.
    `classes`: between how many it decides, None for as many as it has elements.
    """

    name: str
    summary: str
    scores: Callable[[Any, Tensor], Any] | None = None
    marks: Callable[[Any], Any] | None = None
    beside: bool = False
    classes: int | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What outputs of N samples say, in the arrays that they came in.

    `label` int64 (N,), `scores` (N, classes), `marked` bool (N,) or None where the network never marks,
    `beside`: the codes (N, elements) of outputs that say something about the answer, by their role; those of
    one role in the order of the outputs.
    """

    label: Any
    scores: Any
    marked: Any = None
    beside: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def decided(self) -> Any:
        """int64 (N,): `label`, or UNDECIDED where the network marks the answer."""
        return self.label if self.marked is None else self.label * ~self.marked + UNDECIDED * self.marked


def _same(codes: Any, tensor: Tensor) -> Any:
    del tensor
    return codes


def _pair(codes: Any, tensor: Tensor) -> Any:
    """Scores of the classes 0 and 1, as far below and above the code of one half, which is class 0."""
    pair = codes[:, [0, 0]] * 1.0
    pair[:, 0] = 2 * half(tensor) - pair[:, 0]
    return pair


def half(tensor: Tensor) -> float:
    """The largest code whose real value is 0.5 or less; 0.5 for a real tensor."""
    if tensor.quantization is None:
        return 0.5
    return tensor.zero_point + floor(Fraction(1, 2) / Fraction(tensor.scale))


def _last_element(codes: Any) -> Any:
    return codes[:, -1] != 0


SCORES = Role("scores", "one score for each class", _same)
PROBABILITY = Role("probability", "of class 1, against class 0", _pair, classes=2)
VALUES = Role("values", "numbers that are no classes")
MAP = Role("map", "something for each place of an image")
MARK = Role("mark", "its last element marks answers", marks=_last_element, beside=True)
UNCERTAINTY = Role(
    "uncertainty", f"entropies in 1/{ENTROPY_UNITS} bit, and a mark", marks=_last_element, beside=True
)
PASS = Role("pass", "what one of several passes comes to", beside=True)
VERSION = Role("version", "the answer to one version of the input", beside=True)
DECISION = Role("decision", "which exit was taken, and how sure it was", beside=True)
EXIT = Role("exit", "what one of several exits says, taken or not", beside=True)
EXIT_SCORES = Role("exit scores", "what an exit said that was reached", beside=True)


@functools.cache
def roles() -> Mapping[str, Role]:
    """Every role by its name: tinyguard's own and those of other installed packages (`tinyguard.plugins`).

    Raises TinyguardError for a package that brings one whose name is taken.
    """
    by_name = {
        role.name: role
        for role in (
            SCORES,
            PROBABILITY,
            VALUES,
            MAP,
            MARK,
            UNCERTAINTY,
            PASS,
            VERSION,
            DECISION,
            EXIT,
            EXIT_SCORES,
        )
    }
    for extension in brought():
        if (
            isinstance(extension.value, Role)
            and by_name.setdefault(extension.value.name, extension.value) is not extension.value
        ):
            raise taken("role", extension.value.name, extension.package)
    return MappingProxyType(by_name)


def role_of(graph: Graph, index: int) -> Role:
    """The role of tensor `index`: the stated one, or what its shape and the layer that writes it show.

    A stated role that is not known here says no class.

    One element after LOGISTIC is a probability; more than one place of an image is a map; elements along one
    axis alone are scores; anything else is values.
    """
    stated = graph.roles.get(index)
    if stated is not None:
        return roles().get(stated) or Role(stated, "of a later tinyguard, or of a package that is not here")
    shape = graph.tensors[index].shape
    if prod(shape) == 1:
        return PROBABILITY if last_function(graph, index)[0] == "LOGISTIC" else VALUES
    if len(shape) == 4 and shape[0] == 1 and shape[1] * shape[2] > 1:
        return MAP
    return SCORES if sum(size > 1 for size in shape) == 1 else VALUES


def last_function(graph: Graph, index: int) -> tuple[str | None, int]:
    """The operator whose values tensor `index` has, only moved or dequantized, and the tensor it writes."""
    producer = graph.producer(index)
    while producer is not None and producer.operator in _WITHOUT_MEANING:
        index = producer.inputs[0]
        producer = graph.producer(index)
    return (None if producer is None else producer.operator), index


def before_ending(graph: Graph, index: int) -> int | None:
    """The tensor that a SOFTMAX over all classes, or a LOGISTIC, reads whose values tensor `index` has; None
    where its values are another function's."""
    function, written = last_function(graph, index)
    whole, last = graph.tensors[written], graph.producer(written)
    ends = function == "LOGISTIC" or (function == "SOFTMAX" and whole.shape[-1:] == (whole.elements,))
    return last.inputs[0] if ends and last is not None else None


def tensors_of(graph: Graph, role: Role) -> tuple[int, ...]:
    """Tensors, outputs or not, that are stated to have the role, in the order of the statement."""
    return tuple(index for index, name in graph.roles.items() if name == role.name)


@dataclass(frozen=True)
class _Reading:
    """How the outputs of one graph are read."""

    position: int
    tensor: Tensor
    role: Role
    beside: tuple[tuple[int, Role], ...]


_READINGS: weakref.WeakKeyDictionary[Graph, _Reading] = weakref.WeakKeyDictionary()


def _reading(graph: Graph) -> _Reading:
    reading = _READINGS.get(graph)
    if reading is None:
        reading = _READINGS[graph] = _read(graph)
    return reading


def _read(graph: Graph) -> _Reading:
    said = [role_of(graph, index) for index in graph.outputs]
    beside = tuple((place, role) for place, role in enumerate(said) if role.beside)
    candidates = [place for place, role in enumerate(said) if not role.beside]
    if len(candidates) > 1:
        stated = [place for place in candidates if graph.outputs[place] in graph.roles]
        deciding = [place for place in stated if said[place].scores is not None]
        others = [place for place in candidates if place not in stated]
        if len(deciding) > 1 or (others and not deciding):
            raise TinyguardError(
                f"the network has {len(candidates)} outputs, and nothing says which is the answer: "
                f"{listing(graph)}; type --output NAME|N, or make exits of them with tinyguard quantize "
                "--exits auto"
            )
        candidates = deciding or candidates
    for place in candidates:
        role, index = said[place], graph.outputs[place]
        if role.scores is not None:
            return _Reading(place, graph.tensors[index], role, beside)
    what = "outputs say" if len(graph.outputs) > 1 else "output says"
    raise TinyguardError(
        f"the network's {what} no class: {listing(graph)}; leave the labels out, or state the role with "
        "tinyguard quantize --role scores"
    )


def listing(graph: Graph) -> str:
    """The outputs for a message: number, name, shape, role."""
    return ", ".join(
        f"{place} {output_name(graph, index)!r} {graph.tensors[index].shape} {role_of(graph, index).name}"
        for place, index in enumerate(graph.outputs)
    )


def output_name(graph: Graph, index: int) -> str:
    """The name of an output, short enough for a message."""
    name = graph.tensors[index].name
    return name if len(name) <= 60 else f"...{name[-57:]}"


def check_answer(graph: Graph) -> None:
    """Raise TinyguardError, in one line that lists the outputs, where no class follows from them."""
    _reading(graph)


def has_answer(graph: Graph) -> bool:
    """Whether a class follows from the outputs."""
    try:
        _reading(graph)
    except TinyguardError:
        return False
    return True


def answer_tensor(graph: Graph) -> Tensor:
    """The output that decides. Raises as `check_answer`."""
    return _reading(graph).tensor


def answer_role(graph: Graph) -> Role:
    """The role of the output that decides. Raises as `check_answer`."""
    return _reading(graph).role


def answer_place(graph: Graph) -> tuple[int, int]:
    """The number of the output that decides among those that could, and how many these are: what the source
    network has. Raises as `check_answer`."""
    reading = _reading(graph)
    before = sum(place < reading.position for place, _ in reading.beside)
    return reading.position - before, len(graph.outputs) - len(reading.beside)


def answer_name(graph: Graph) -> str | None:
    """The name of the output that decides, where there are several that could; else None, also where no class
    follows."""
    if not has_answer(graph) or answer_place(graph)[1] == 1:
        return None
    return output_name(graph, answer_tensor(graph).index)


def class_count(graph: Graph) -> int:
    """Between how many classes the answer decides. Raises as `check_answer`."""
    reading = _reading(graph)
    return reading.role.classes or reading.tensor.elements


def decide(graph: Graph, outputs: Sequence[Any]) -> Answer:
    """What `outputs`, one array or tensor (N, ...) for each of the graph's, say.

    NumPy arrays and torch tensors go the same way; so both decide alike, ties included. Raises as
    `check_answer`.
    """
    reading = _reading(graph)
    scores = reading.role.scores(_flat(outputs[reading.position]), reading.tensor)  # type: ignore[misc]
    beside: dict[str, tuple[Any, ...]] = {}
    marked = None
    for place, role in reading.beside:
        codes = _flat(outputs[place])
        beside[role.name] = (*beside.get(role.name, ()), codes)
        if role.marks is not None:
            flagged = role.marks(codes)
            marked = flagged if marked is None else marked | flagged
    return Answer(scores.argmax(1), scores, marked, MappingProxyType(beside))


def _flat(output: Any) -> Any:
    return output.reshape(len(output), -1)


def named_place(names: Sequence[str], wanted: str | int) -> int | None:
    """The place of the output that `wanted` names, or numbers where no name is alike; None without one."""
    if isinstance(wanted, str) and wanted in names:
        return names.index(wanted)
    number = int(wanted) if isinstance(wanted, int) or wanted.isdecimal() else -1
    return number if 0 <= number < len(names) else None


def output_place(graph: Graph, wanted: str | int) -> int:
    """The number of the output of this name or number. Raises TinyguardError where there is none."""
    names = [graph.tensors[index].name for index in graph.outputs]
    shown = [output_name(graph, index) for index in graph.outputs]
    place = shown.index(wanted) if wanted in shown else named_place(names, wanted)
    if place is not None:
        return place
    text = str(wanted)
    hint = ": -o names the file to write" if "/" in text or text.endswith((".tflite", ".npz")) else ""
    raise TinyguardError(f"no output {text!r}{hint}; the outputs are {listing(graph)}")


def answered_by_exits(wanted: str | int) -> TinyguardError:
    """The error for choosing an output of a network with exits."""
    return TinyguardError(
        f"--output {wanted} on a network with exits, which decide on the answer: type --exit N for what one "
        "of them says"
    )


def choose_output(graph: Graph, wanted: str | int | None) -> Graph:
    """The graph with the answer in the output of this name or number; None leaves it as it is.

    Outputs beside the answer keep their roles, the others become values. Raises TinyguardError where there is
    no such output, where no class follows from it, and for a network with exits.
    """
    if wanted is None:
        return graph
    if tensors_of(graph, EXIT):
        raise answered_by_exits(wanted)
    place = output_place(graph, wanted)
    index = graph.outputs[place]
    role = role_of(graph, index)
    if role.scores is None:
        raise TinyguardError(
            f"output {place} {output_name(graph, index)!r} {graph.tensors[index].shape} is {role.name}, from "
            f"which no class follows: the outputs are {listing(graph)}"
        )
    others = {
        other: VALUES.name for other in graph.outputs if other != index and not role_of(graph, other).beside
    }
    return replace(graph, roles=MappingProxyType({**graph.roles, **others, index: role.name}))
