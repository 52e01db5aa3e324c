# SPDX-License-Identifier: Apache-2.0
"""A run-time that ignores tinyguard's metadata, and after it the layers that the metadata adds, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tinyguard.backends import OpenBackend
from tinyguard.graph import Graph, Node, Tensor
from tinyguard.graph.execute import resume
from tinyguard.operators import registry, resolve
from tinyguard.tflite.record.filters import filters_of


class AddedBackend:
    """`inner` for a file's own layers, and NumPy for `nodes` of `graph`, which read what those compute."""

    def __init__(self, inner: OpenBackend, graph: Graph, nodes: Sequence[Node]) -> None:
        self.inner = inner
        self.graph = replace(graph, nodes=tuple(nodes))
        self._steps = [operator.run for operator in resolve(self.graph)]
        made = {index for node in nodes for index in node.outputs}
        read = {index for node in nodes for index in node.inputs if index >= 0} | set(graph.outputs)
        self._read = sorted(index for index in read - made if not graph.tensors[index].is_constant)

    @property
    def name(self) -> str:
        return self.inner.name

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Codes (N, *input shape) to the outputs' codes (N, *sample_shape)."""
        found = self.computed(self.inner.read(self._read, *inputs))
        shapes = [(len(inputs[0]), *self.graph.tensors[index].sample_shape) for index in self.graph.outputs]
        return tuple(
            found[index].reshape(shape) for index, shape in zip(self.graph.outputs, shapes, strict=True)
        )

    def computed(self, known: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """`known` tensors by their indices, shape (N, *tensor.shape), and those of the added layers."""
        found, places = dict(known), range(len(self._steps))
        for node, results in resume(self.graph, self._steps, dict(known), _values, places):
            found.update(zip(node.outputs, results, strict=True))
        return found


def added_after(graph: Graph) -> tuple[Node, ...] | None:
    """The layers that the metadata adds beside input filters; None where a layer of the file goes on from
    one."""
    nodes = graph.nodes[len(filters_of(graph).nodes) :]
    added = tuple(node for node in nodes if not registry()[node.operator].in_file)
    made = {index for node in added for index in node.outputs}
    own = (node for node in nodes if registry()[node.operator].in_file)
    return None if any(made.intersection(node.inputs) for node in own) else added


def _values(tensor: Tensor) -> np.ndarray:
    assert tensor.data is not None
    return tensor.data[None]
