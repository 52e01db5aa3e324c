# SPDX-License-Identifier: Apache-2.0
"""The static memory plan: every activation at a fixed offset of one arena.

Tensors that are views of each other or computed in place share a buffer; buffers that are never
alive together share bytes. An output that its layer carries on from an input has the input's buffer whatever
else would be smaller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tinyguard.codegen.packing import Request, aligned, least_bytes, pack
from tinyguard.codegen.repeats import Repeats, find_repeats
from tinyguard.codegen.settings_tables import layout
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.kernels import Kernel, choose
from tinyguard.operators import PORTABLE, Operator, Target


@dataclass(frozen=True)
class Buffer:
    """Bytes of the arena with a lifetime: alive from layer `first` to layer `last`, both included.

    Graph inputs are alive from layer -1, graph outputs to the number of layers.
    """

    tensors: tuple[int, ...]  # indices; empty for scratch
    size_bytes: int
    first: int
    last: int
    offset: int


@dataclass(frozen=True)
class MemoryPlan:
    """Where everything lies. `constants` maps a view of a constant to that constant's tensor."""

    buffers: tuple[Buffer, ...]
    tensor_offset: dict[int, int]
    scratch_offset: dict[int, int]  # layer -> offset
    constants: dict[int, int]
    arena_bytes: int
    setting_offset: dict[str, int] = field(default_factory=dict)


@dataclass
class _Group:
    tensors: list[int]
    size_bytes: int
    first: int
    last: int


class _Grouping:
    """Which tensors share one buffer."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.group_of: dict[int, _Group] = {}
        self.constants: dict[int, int] = {}
        self.last_use = {index: -1 for index in graph.inputs}
        for step, node in enumerate(graph.nodes):
            for index in node.inputs:
                self.last_use[index] = step

    def start(self, tensor: int, step: int) -> None:
        size = self.graph.tensors[tensor].size_bytes
        group = _Group([], size, step, step)
        self.join(tensor, group)

    def join(self, tensor: int, group: _Group) -> None:
        group.tensors.append(tensor)
        group.size_bytes = max(group.size_bytes, self.graph.tensors[tensor].size_bytes)
        group.last = max(group.last, self.last_use.get(tensor, -1))
        if tensor in self.graph.outputs:
            group.last = len(self.graph.nodes)
        self.group_of[tensor] = group

    def place_output(self, operator: Operator, step: int, in_place: Sequence[int]) -> None:
        """Output 0 joins the buffer it is a view of or overwrites; otherwise it gets its own."""
        node = operator.node
        target = node.outputs[0]
        if self.carry(operator, 0):
            return
        if operator.is_view:
            source = node.inputs[0]
            constant = self.constants.get(source, source)
            if self.graph.tensors[constant].is_constant:
                self.constants[target] = constant
            else:
                self.join(target, self.group_of[source])
            return
        size = self.graph.tensors[target].size_bytes
        for position in in_place:
            source = node.inputs[position]
            group = self.group_of.get(source)
            dies = group is not None and group.last == step
            if group and dies and self.graph.tensors[source].size_bytes == size:
                self.join(target, group)
                return
        self.start(target, step)

    def carry(self, operator: Operator, output: int) -> bool:
        """Whether this output lies in the memory of an input that it carries on."""
        place = operator.carried.get(output)
        source = None if place is None else operator.node.inputs[place]
        if source is None or source in self.graph.outputs:
            return False
        self.join(operator.node.outputs[output], self.group_of[source])
        return True

    def requests(self) -> list[Request]:
        groups = {id(group): group for group in self.group_of.values()}.values()
        return [Request(g.size_bytes, g.first, g.last, tuple(g.tensors)) for g in groups]


def plan(
    graph: Graph,
    operators: Sequence[Operator],
    target: Target = PORTABLE,
    kernels: Sequence[Kernel] | None = None,
) -> MemoryPlan:
    """Lay out the arena for the nodes of `graph`, resolved as `operators` in the same order.

    `kernels` are those chosen for the layers; without them `choose` is asked.
    """
    kernels = choose(operators, target) if kernels is None else kernels
    activations = _with_passes(graph, operators, target, kernels)
    offsets, end = layout(graph.settings, activations.arena_bytes)  # settings outlive every inference
    return replace(activations, setting_offset=offsets, arena_bytes=aligned(end))


def _with_passes(
    graph: Graph, operators: Sequence[Operator], target: Target, kernels: Sequence[Kernel]
) -> MemoryPlan:
    repeats = find_repeats(graph)
    if repeats is None:
        return _planned(graph, operators, target, kernels, {})
    once = repeats.graph(graph)
    first = dict.fromkeys(repeats.carried, repeats.first)
    one_pass = _planned(once, repeats.once(operators), target, repeats.once(kernels), first)
    return _for_all_passes(one_pass, repeats)


def _planned(
    graph: Graph,
    operators: Sequence[Operator],
    target: Target,
    kernels: Sequence[Kernel],
    first: Mapping[int, int],
) -> MemoryPlan:
    """`first`: tensors that are alive from an earlier layer on than the one that writes them."""
    scratch = [
        Request(size, step, step)
        for step, size in enumerate(
            kernel.scratch_bytes(operator, target)
            for operator, kernel in zip(operators, kernels, strict=True)
        )
        if size
    ]
    best = None
    for in_place in (True, False):
        grouping = _grouped(graph, operators, kernels, in_place)
        for tensor, step in first.items():
            grouping.group_of[tensor].first = min(grouping.group_of[tensor].first, step)
        requests = [*grouping.requests(), *scratch]
        candidate = _layout(grouping, requests)
        if best is None or candidate.arena_bytes < best.arena_bytes:
            best = candidate
        if best.arena_bytes <= least_bytes(requests):
            break
    assert best is not None
    return best


def _for_all_passes(once: MemoryPlan, repeats: Repeats) -> MemoryPlan:
    """The plan of one pass, laid over all of them."""
    originals: dict[int, list[int]] = {}
    for twin, original in repeats.twins.items():
        originals.setdefault(original, []).append(twin)
    buffers = []
    for buffer in once.buffers:
        lasts = repeats.steps(buffer.last)
        inside = len(lasts) > 1 and buffer.first >= repeats.first
        for run, first in enumerate(repeats.steps(buffer.first) if inside else [buffer.first]):
            tensors = tuple(t if run == 0 else originals.get(t, [t] * run)[run - 1] for t in buffer.tensors)
            last = lasts[run] if inside else lasts[-1]
            start = first if inside else repeats.steps(buffer.first)[0]
            buffers.append(replace(buffer, tensors=tensors, first=start, last=last))
    offsets, constants = dict(once.tensor_offset), dict(once.constants)
    for original, twins in originals.items():
        offsets.update(dict.fromkeys(twins, once.tensor_offset[original]) if original in offsets else {})
        constants.update(dict.fromkeys(twins, once.constants[original]) if original in constants else {})
    scratch = {step: offset for layer, offset in once.scratch_offset.items() for step in repeats.steps(layer)}
    return MemoryPlan(tuple(buffers), offsets, scratch, constants, once.arena_bytes)


def _grouped(
    graph: Graph, operators: Sequence[Operator], kernels: Sequence[Kernel], in_place: bool
) -> _Grouping:
    grouping = _Grouping(graph)
    for tensor in graph.inputs:
        grouping.start(tensor, -1)
    for step, (operator, kernel) in enumerate(zip(operators, kernels, strict=True)):
        grouping.place_output(operator, step, kernel.in_place(operator) if in_place else ())
        for number, tensor in enumerate(operator.node.outputs[1:], start=1):
            if not grouping.carry(operator, number):
                grouping.start(tensor, step)
    fixed = [graph.tensors[index].name for index in graph.outputs if index in grouping.constants]
    if fixed:
        raise TinyguardError(f"output '{fixed[0]}' is a constant that no input reaches; leave it out")
    return grouping


def _layout(grouping: _Grouping, requests: list[Request]) -> MemoryPlan:
    buffers = tuple(
        Buffer(r.tensors, r.size_bytes, r.first, r.last, offset)
        for r, offset in zip(requests, pack(requests), strict=True)
    )
    ends = [buffer.offset + buffer.size_bytes for buffer in buffers]
    return MemoryPlan(
        buffers=buffers,
        tensor_offset={t: buffer.offset for buffer in buffers for t in buffer.tensors},
        scratch_offset={buffer.first: buffer.offset for buffer in buffers if not buffer.tensors},
        constants=grouping.constants,
        arena_bytes=aligned(max(ends, default=0)),
    )
