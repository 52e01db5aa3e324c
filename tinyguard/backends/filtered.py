# SPDX-License-Identifier: Apache-2.0
"""A run-time that ignores tinyguard's metadata, and what the metadata adds before and after its layers."""

from __future__ import annotations

import numpy as np

from tinyguard.backends import Backend, OpenBackend
from tinyguard.backends.added import AddedBackend, added_after
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.graph.execute import execute
from tinyguard.operators import resolve
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
    """`inner` and what the metadata of `graph` adds: input filters before it, and layers after all of the
    file's own, as the gates of exits are, where `inner` shows the tensors that these read.

    Raises TinyguardError where the metadata adds other layers, which a run-time that ignores it has not.
    """
    filters = filters_of(graph).nodes
    added = added_after(graph)
    if added is None or (added and not isinstance(inner, OpenBackend)):
        raise TinyguardError(
            f"{inner.name} knows nothing of {_added(graph)}: type --backend simulator, reference or compiled"
        )
    whole = AddedBackend(inner, graph, added) if added and isinstance(inner, OpenBackend) else inner
    return FilteredBackend(whole, graph) if filters else whole


def _added(graph: Graph) -> str:
    """What the metadata adds after the input filters, in words."""
    sections = in_order(parse_metadata(graph.metadata[RECORD_NAME]).requires)
    return " and ".join(section.title for section in sections if section.name != "filters")


def _no_constant(tensor: Tensor) -> np.ndarray:
    raise AssertionError(f"a filter reads the constant '{tensor.name}'")
