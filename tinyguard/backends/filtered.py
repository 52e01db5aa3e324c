# SPDX-License-Identifier: Apache-2.0
"""A run-time that ignores tinyguard's metadata, with the input filters applied in front of it."""

from __future__ import annotations

import numpy as np

from tinyguard.backends import Backend
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.graph.execute import execute
from tinyguard.operators import registry, resolve
from tinyguard.tflite.metadata import RECORD_NAME, parse_metadata
from tinyguard.tflite.record import in_order
from tinyguard.tflite.record.filters import filters_of


class FilteredBackend:
    """`inner` after the input filters of `graph`, which are computed in NumPy."""

    def __init__(self, inner: Backend, graph: Graph) -> None:
        self.inner = inner
        self.graph = filters_of(graph)
        self._steps = [operator.run for operator in resolve(self.graph)]

    @property
    def name(self) -> str:
        return self.inner.name

    def filtered(self, *inputs: np.ndarray) -> dict[int, np.ndarray]:
        """What each filter returns, (N, *tensor.shape), by tensor index, in their order."""
        steps = execute(self.graph, self._steps, inputs, _no_constant)
        return {node.outputs[0]: results[0] for node, results in steps}

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        return self.inner.run(self.last(*inputs))

    def last(self, *inputs: np.ndarray) -> np.ndarray:
        """What the network after the filters sees, in the shape of the input."""
        *_, last = self.filtered(*inputs).values()
        return np.ascontiguousarray(last.reshape(inputs[0].shape))


def behind_filters(inner: Backend, graph: Graph) -> Backend:
    """`inner`, or where `graph` has input filters a back end that applies them first.

    Raises TinyguardError where the metadata adds other layers, which a run-time that ignores it has not.
    """
    filters = filters_of(graph).nodes
    if any(not registry()[node.operator].in_file for node in graph.nodes[len(filters) :]):
        raise TinyguardError(
            f"{inner.name} knows nothing of {_added(graph)}: type --backend simulator, reference or compiled"
        )
    return FilteredBackend(inner, graph) if filters else inner


def _added(graph: Graph) -> str:
    """What the metadata adds after the input filters, in words."""
    sections = in_order(parse_metadata(graph.metadata[RECORD_NAME]).requires)
    return " and ".join(section.title for section in sections if section.name != "filters")


def _no_constant(tensor: Tensor) -> np.ndarray:
    raise AssertionError(f"a filter reads the constant '{tensor.name}'")
