# SPDX-License-Identifier: Apache-2.0
"""The NumPy reference: slow, exact, and all that a machine without torch needs."""

from collections.abc import Sequence

import numpy as np

from tinyguard.graph import Graph, Tensor
from tinyguard.graph.execute import check_inputs, execute, outputs_of
from tinyguard.operators import resolve


def _values(tensor: Tensor) -> np.ndarray:
    assert tensor.data is not None
    return tensor.data[None]


_BATCH = 64


class ReferenceBackend:
    """Runs every operator's NumPy `run`."""

    name = "reference"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._steps = [operator.run for operator in resolve(graph)]

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Codes (N, *shape[1:]) to output codes (N, *shape[1:]), one array per input and output."""
        check_inputs(self.graph, inputs)
        steps = execute(self.graph, self._steps, inputs, _values)
        return outputs_of(self.graph, steps, inputs)

    def tensors(self, *inputs: np.ndarray) -> dict[int, np.ndarray]:
        """Every computed tensor by its index, shape (N, *tensor.shape)."""
        check_inputs(self.graph, inputs)
        steps = execute(self.graph, self._steps, inputs, _values)
        return {i: y for node, ys in steps for i, y in zip(node.outputs, ys, strict=True)}

    def read(self, indices: Sequence[int], *inputs: np.ndarray) -> dict[int, np.ndarray]:
        """Some computed tensors by their indices, as `tensors` gives them, a batch at a time."""
        starts = range(0, len(inputs[0]), _BATCH)
        parts = [self.tensors(*(x[start : start + _BATCH] for x in inputs)) for start in starts]
        return {index: np.concatenate([part[index] for part in parts]) for index in indices}
