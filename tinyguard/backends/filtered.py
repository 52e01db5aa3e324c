"""A run-time that ignores tinyguard's metadata, with the input filters applied in front of it."""

from __future__ import annotations

import numpy as np

from tinyguard.backends import Backend
from tinyguard.backends.execute import execute
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.operators import registry, resolve
from tinyguard.tflite.record.filters import filters_of


class FilteredBackend:
    """`inner` behind the input filters of `graph`, which are computed in NumPy."""

    def __init__(self, inner: Backend, graph: Graph) -> None:
        self.inner = inner
        self.graph = filters_of(graph)
        self.operators = resolve(self.graph)

    @property
    def name(self) -> str:
        return self.inner.name

    def filtered(self, *inputs: np.ndarray) -> dict[int, np.ndarray]:
        """What each filter returns, (N, *tensor.shape), by tensor index, in their order."""
        steps = execute(self.graph, self.operators, "run", inputs, _no_constant)
        return {operator.node.outputs[0]: results[0] for operator, results in steps}

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        return self.inner.run(self.last(*inputs))

    def last(self, *inputs: np.ndarray) -> np.ndarray:
        """What the network behind the filters sees, in the shape of the input."""
        *_, last = self.filtered(*inputs).values()
        return np.ascontiguousarray(last.reshape(inputs[0].shape))


def behind_filters(inner: Backend, graph: Graph) -> Backend:
    """`inner`, or where `graph` has input filters a back end that applies them first.

    Raises TinyguardError for a network with other layers that the file's metadata adds, which a run-time that
    ignores the metadata has not.
    """
    filters = len(filters_of(graph).nodes)
    added = [node for node in graph.nodes[filters:] if not registry()[node.operator].in_file]
    if added:
        raise TinyguardError(
            f"{inner.name} knows nothing of what the file's metadata adds ({added[0].operator}, ...): type "
            "--backend simulator, reference or compiled"
        )
    return FilteredBackend(inner, graph) if filters else inner


def _no_constant(tensor: Tensor) -> np.ndarray:
    raise AssertionError(f"a filter reads the constant '{tensor.name}'")
