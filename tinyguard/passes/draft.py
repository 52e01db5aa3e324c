# SPDX-License-Identifier: Apache-2.0
"""A graph in the making: what passes change, tensor indices and names staying what they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from tinyguard.graph import Graph, Node, Quantization, Tensor


class Draft:
    """Tensors and nodes of a graph, open to change. `graph` gives the result."""

    def __init__(self, graph: Graph) -> None:
        self.origin = graph
        self.tensors = list(graph.tensors)
        self.nodes: list[Node | None] = list(graph.nodes)  # None where one was removed

    def readers(self, tensor: int) -> list[Node]:
        """The nodes that read a tensor, in order."""
        return [node for node in self.nodes if node is not None and tensor in node.inputs]

    def producer(self, tensor: int) -> int | None:
        """Position of the node that writes a tensor."""
        for position, node in enumerate(self.nodes):
            if node is not None and tensor in node.outputs:
                return position
        return None

    def change(
        self,
        position: int,
        *,
        operator: str | None = None,
        inputs: tuple[int, ...] | None = None,
        outputs: tuple[int, ...] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Change parts of a node; options given are merged into those it has."""
        node = self.nodes[position]
        assert node is not None
        self.nodes[position] = replace(
            node,
            operator=node.operator if operator is None else operator,
            inputs=node.inputs if inputs is None else inputs,
            outputs=node.outputs if outputs is None else outputs,
            options=MappingProxyType({**node.options, **(options or {})}),
        )

    def make_reshape(self, position: int, source: int) -> None:
        """A node with one output becomes a RESHAPE of `source` to that output's shape."""
        node = self.nodes[position]
        assert node is not None
        options = MappingProxyType({"new_shape": self.tensors[node.outputs[0]].shape})
        self.nodes[position] = replace(node, operator="RESHAPE", inputs=(source,), options=options)

    def remove(self, position: int) -> None:
        self.nodes[position] = None

    def read_instead(self, tensor: int, other: int) -> None:
        """Every node that reads `tensor` reads `other`."""
        for position, node in enumerate(self.nodes):
            if node is not None and tensor in node.inputs:
                inputs = tuple(other if index == tensor else index for index in node.inputs)
                self.change(position, inputs=inputs)

    def set_shape(self, tensor: int, shape: tuple[int, ...]) -> None:
        self.tensors[tensor] = replace(self.tensors[tensor], shape=shape)

    def make_constant(self, tensor: int, data: np.ndarray) -> None:
        """A computed tensor becomes a constant."""
        self.tensors[tensor] = replace(self.tensors[tensor], data=data)

    def set_constant(
        self, position: int, slot: int, data: np.ndarray, quantization: Quantization | None = None
    ) -> None:
        """Input `slot` of a node becomes a constant with new data, under the old one's name.

        A constant that other inputs read as well is left to them.
        """
        node = self.nodes[position]
        assert node is not None
        missing = slot >= len(node.inputs) or node.inputs[slot] < 0
        if missing:
            name = f"{self.tensors[node.outputs[0]].name}/{slot}"
        else:
            old = self.tensors[node.inputs[slot]]
            name, quantization = old.name, quantization or old.quantization
        reads = [index for n in self.nodes if n is not None for index in n.inputs]
        alone = not missing and reads.count(node.inputs[slot]) == 1
        index = node.inputs[slot] if alone else len(self.tensors)
        tensor = Tensor(index, name, data.shape, str(data.dtype), quantization, data)
        if alone:
            self.tensors[index] = tensor
        else:
            self.tensors.append(tensor)
        inputs = [*node.inputs, *(-1,) * (slot + 1 - len(node.inputs))]
        inputs[slot] = index
        self.change(position, inputs=tuple(inputs))

    def graph(self) -> Graph:
        """The graph as it is now, nodes numbered in order."""
        left = (node for node in self.nodes if node is not None)
        nodes = tuple(replace(node, index=index) for index, node in enumerate(left))
        return replace(self.origin, tensors=tuple(self.tensors), nodes=nodes)


def same_quantization(a: Tensor, b: Tensor) -> bool:
    """Whether equal codes of the two tensors mean the same number."""
    ours, theirs = a.quantization, b.quantization
    if ours is None or theirs is None:
        return a.dtype == b.dtype and ours is theirs
    scales = np.array_equal(np.array(ours.scales, np.float32), np.array(theirs.scales, np.float32))
    return a.dtype == b.dtype and scales and ours.zero_points == theirs.zero_points
