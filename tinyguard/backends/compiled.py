# SPDX-License-Identifier: Apache-2.0
"""The generated C, compiled for the host: the firmware's arithmetic without a board."""

import tempfile
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from tinyguard.codegen.batch import Batch
from tinyguard.graph import Graph
from tinyguard.graph.answer import DECISION


def with_every_tensor_as_output(graph: Graph) -> Graph:
    """The same network with each computed tensor an output, so that the plan keeps them all, and computed
    whole, whatever an exit decides."""
    every = tuple(index for node in graph.nodes for index in node.outputs)
    roles = {index: role for index, role in graph.roles.items() if role != DECISION.name}
    return replace(graph, outputs=every, roles=MappingProxyType(roles))


class CompiledBackend:
    """Runs `graph` through its generated C, built with the host's gcc in a temporary folder."""

    name = "compiled"

    def __init__(self, graph: Graph, sanitize: bool = False, optimize: str = "-O2") -> None:
        self.graph = graph
        self._folder = tempfile.TemporaryDirectory(prefix="tinyguard-")
        project = Path(self._folder.name) / "project"
        self._batch = Batch([graph], project, sanitize=sanitize, optimize=optimize)

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        outputs = self._batch.run(0, *inputs)
        shapes = [self.graph.tensors[index].sample_shape for index in self.graph.outputs]
        return tuple(y.reshape(len(y), *shape) for y, shape in zip(outputs, shapes, strict=True))

    def tensors(self, *inputs: np.ndarray) -> dict[int, np.ndarray]:
        """Every computed tensor by its index, shape (N, *tensor.shape): compiles the network anew."""
        every = with_every_tensor_as_output(self.graph)
        with tempfile.TemporaryDirectory(prefix="tinyguard-") as folder:
            outputs = Batch([every], Path(folder) / "project", optimize="-O2").run(0, *inputs)
        return dict(zip(every.outputs, outputs, strict=True))
