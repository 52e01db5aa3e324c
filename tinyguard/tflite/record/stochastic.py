# SPDX-License-Identifier: Apache-2.0
"""Monte Carlo dropout: as the metadata keeps it, and as layers of the graph.

    {"stochastic": {"sites": ["layer", ...], "dropped": 26, "passes": 10, "seed": 7, "abstain_above": 1536}}

Layers up to the first site run once; what depends on a site runs `passes` times, each with masks of its own,
and two more layers take the mean of the outputs and their entropies (`operators/monte_carlo.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node, Quantization, Setting, Tensor
from tinyguard.graph.answer import PASS, UNCERTAINTY, listing, role_of
from tinyguard.operators.dropout import RATES, SEED
from tinyguard.tflite.record.section import Section

UNCERTAINTY_ELEMENTS = 4
_MOST_PASSES = 100
_MOST_SITES = 64
_SCALING = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "ADD", "SUB", "MUL", "MEAN")


@dataclass(frozen=True)
class Stochastic:
    """`sites` are names of layers, after which `dropped` of 256 elements go in each of `passes` passes.

    `seed`: 64 bits. `abstain_above`: 1/1024 bit of predictive entropy, -1 never.
    """

    sites: tuple[str, ...]
    dropped: int
    passes: int
    seed: int = 0
    abstain_above: int = -1

    @property
    def rate(self) -> float:
        return self.dropped / RATES

    def as_json(self) -> dict[str, Any]:
        return {
            "sites": list(self.sites),
            "dropped": self.dropped,
            "passes": self.passes,
            "seed": self.seed,
            "abstain_above": self.abstain_above,
        }


def stochastic_from_json(section: Any) -> Stochastic:
    """The section of the metadata. Raises TinyguardError for what this version cannot run."""
    known = {"sites", "dropped", "passes", "seed", "abstain_above"}
    if not isinstance(section, dict) or set(section) != known:
        raise TinyguardError(
            f"tinyguard metadata: stochastic needs {', '.join(sorted(known))} and nothing else; harden the "
            "model again"
        )
    sites = section["sites"]
    names = isinstance(sites, list) and all(isinstance(name, str) for name in sites)
    numbers = {key: section[key] for key in sorted(known - {"sites"})}
    if not names or not all(type(value) is int for value in numbers.values()):
        raise TinyguardError("tinyguard metadata: stochastic has no names of sites or no whole numbers")
    stochastic = Stochastic(tuple(sites), **numbers)
    _check(stochastic)
    return stochastic


def _check(stochastic: Stochastic) -> None:
    for fits, what in (
        (
            1 <= len(stochastic.sites) <= _MOST_SITES,
            f"{len(stochastic.sites)} sites, and it takes 1 to {_MOST_SITES}",
        ),
        (len(set(stochastic.sites)) == len(stochastic.sites), "a site twice"),
        (0 < stochastic.dropped <= RATES // 2, f"a rate of {stochastic.rate:g}, and it takes up to 0.5"),
        (
            1 <= stochastic.passes <= _MOST_PASSES,
            f"{stochastic.passes} passes, and it takes 1 to {_MOST_PASSES}",
        ),
        (0 <= stochastic.seed < 1 << 64, "a seed beyond 64 bits"),
        (stochastic.abstain_above >= -1, f"abstain_above {stochastic.abstain_above}"),
    ):
        if not fits:
            raise TinyguardError(f"stochastic inference with {what}")


def site_layers(graph: Graph) -> list[Node]:
    """Layers that can be a site: int8, and with a multiplier that takes the factor 1 / (1 - p)."""
    return [node for node in graph.nodes if node.operator in _SCALING and _is_int8(graph, node)]


def _is_int8(graph: Graph, node: Node) -> bool:
    tensor = graph.tensors[node.outputs[0]]
    return tensor.dtype == "int8" and tensor.index not in graph.outputs


def insert_passes(graph: Graph, stochastic: Stochastic) -> Graph:
    """The graph with every pass as layers of its own: prefix, passes one after the other, mean."""
    _check(stochastic)
    sites = [_site(graph, name) for name in stochastic.sites]
    if len(graph.outputs) != 1:
        raise TinyguardError(
            f"stochastic inference on a network with {len(graph.outputs)} outputs: {listing(graph)}; type "
            "--output NAME|N for a file with that one alone"
        )
    tail = _after(graph, {node.outputs[0] for node in sites})
    final = graph.outputs[0]
    if final not in {index for node in tail for index in node.outputs}:
        raise TinyguardError("no site leads to the output: name another with --sites")
    inside = {node.index for node in tail}
    builder = _Unrolled(graph, stochastic, sites)
    for node in graph.nodes:
        if node.index not in inside:
            builder.add(node, {})
    total = None
    for run in range(stochastic.passes):
        total = builder.add_pass(tail, run, final, total)
    assert total is not None
    return builder.graph(total, final)


class _Unrolled:
    """Nodes and tensors of the graph in the making."""

    def __init__(self, graph: Graph, stochastic: Stochastic, sites: Sequence[Node]) -> None:
        self.origin, self.stochastic = graph, stochastic
        self.tensors, self.nodes, self.passes = list(graph.tensors), list[Node](), list[int]()
        self.sites = {node.outputs[0]: number for number, node in enumerate(sites)}

        for index in self.sites:
            tensor = graph.tensors[index]
            assert tensor.quantization is not None
            scale = tensor.scale * (1 - stochastic.dropped / RATES)
            scaled = Quantization((scale,), tensor.quantization.zero_points, tensor.quantization.axis)
            self.tensors[index] = replace(tensor, quantization=scaled)

    def tensor(self, like: Tensor, **changes: Any) -> int:
        index = len(self.tensors)
        self.tensors.append(replace(like, index=index, **changes))
        return index

    def add(self, node: Node, read: dict[int, int], outputs: tuple[int, ...] | None = None) -> None:
        """A node with its inputs looked up in `read`."""
        inputs = tuple(read.get(index, index) for index in node.inputs)
        index = len(self.nodes)
        self.nodes.append(replace(node, index=index, inputs=inputs, outputs=outputs or node.outputs))

    def add_pass(self, tail: Sequence[Node], run: int, final: int, total: int | None) -> int:
        """One pass of the tail: masks on the sites of the prefix, then its layers; the tensor of the sum."""
        read: dict[int, int] = {}
        written = {index for node in tail for index in node.outputs}
        for site in self.sites:
            if site not in written:
                read[site] = self._mask(site, site, run)
        for node in tail:
            outputs = tuple(self._copy(index, run) for index in node.outputs)
            self.add(node, read, outputs)
            for old, new in zip(node.outputs, outputs, strict=True):
                read[old] = self._mask(old, new, run) if old in self.sites else new
        self.passes.append(read[final])
        return self._sum(read[final], run, total)

    def _copy(self, index: int, run: int) -> int:
        tensor = self.tensors[index]
        return self.tensor(tensor, name=f"{tensor.name} pass {run}")

    def _mask(self, site: int, source: int, run: int) -> int:
        origin = self.origin.tensors[site]
        target = self.tensor(origin, name=f"dropout of {origin.name} pass {run}")
        options = {
            "site": self.sites[site],
            "run": run,
            "dropped": self.stochastic.dropped,
        }
        self._node("DROPOUT", (source,), (target,), options)
        return target

    def _sum(self, scores: int, run: int, total: int | None) -> int:
        classes = self.tensors[scores].elements
        target = self.tensor(
            self.tensors[scores],
            name=f"sum of passes 0 to {run}",
            shape=(1, classes + 1),
            dtype="int32",
            quantization=None,
        )
        self._node("MONTE_CARLO_SUM", (scores,) if total is None else (scores, total), (target,), {})
        return target

    def _node(
        self, operator: str, inputs: tuple[int, ...], outputs: tuple[int, ...], options: dict[str, int]
    ) -> None:
        self.nodes.append(Node(len(self.nodes), operator, inputs, outputs, MappingProxyType(options)))

    def graph(self, total: int, final: int) -> Graph:
        scores = self.origin.tensors[final]
        mean = self.tensor(scores, name=f"mean of {self.stochastic.passes} passes")
        uncertainty = self.tensor(
            scores, name="uncertainty", shape=(1, UNCERTAINTY_ELEMENTS), dtype="int32", quantization=None
        )
        options = {"passes": self.stochastic.passes, "abstain_above": self.stochastic.abstain_above}
        self._node("MONTE_CARLO_MEAN", (total,), (mean, uncertainty), options)
        stated = {mean: role_of(self.origin, final).name, uncertainty: UNCERTAINTY.name}
        stated |= dict.fromkeys(self.passes, PASS.name)
        seed = Setting(SEED, "uint64", (self.stochastic.seed,), ((0, 2**64 - 1),), drawn=True)
        return replace(
            self.origin,
            tensors=tuple(self.tensors),
            nodes=tuple(self.nodes),
            outputs=(mean, uncertainty),
            roles=MappingProxyType({**self.origin.roles, **stated}),
            settings=(*self.origin.settings, seed),
        )


def _site(graph: Graph, name: str) -> Node:
    node = next((node for node in graph.nodes if graph.node_name(node) == name), None)
    if node is None:
        raise TinyguardError(f"stochastic inference after the layer {name!r}, which is not there")
    if node not in site_layers(graph):
        raise TinyguardError(
            f"{node.operator} '{name}' cannot be a site: it takes an int8 layer that scales its output "
            f"({', '.join(_SCALING)}) and is not the last"
        )
    return node


def _after(graph: Graph, sites: set[int]) -> list[Node]:
    """The layers that depend on any of the tensors."""
    reached, nodes = set(sites), []
    for node in graph.nodes:
        if reached & set(node.inputs):
            reached.update(node.outputs)
            nodes.append(node)
    return nodes


SECTION = Section(
    "stochastic",
    "stochastic passes",
    stochastic_from_json,
    Stochastic.as_json,
    insert=insert_passes,
    place="network",
)
