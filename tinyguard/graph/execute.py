# SPDX-License-Identifier: Apache-2.0
"""Walking through a network node by node, whatever carries out the nodes: NumPy or torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph.graph import Graph, Node, Tensor

Step = Callable[..., tuple[Any, ...]]  # a node's inputs, None for an absent one, to its outputs
Steps = Iterator[tuple[Node, tuple[Any, ...]]]


def check_inputs(graph: Graph, inputs: Sequence[Any]) -> None:
    """Raise TinyguardError unless there is one (N, *tensor.shape[1:]) array per graph input."""
    tensors = [graph.tensors[index] for index in graph.inputs]
    if len(inputs) != len(tensors):
        raise TinyguardError(f"{len(inputs)} input arrays for a network with {len(tensors)} inputs")
    for x, tensor in zip(inputs, tensors, strict=True):
        if tuple(x.shape[1:]) != tensor.shape[1:] or tensor.shape[:1] not in ((1,), ()):
            raise TinyguardError(
                f"input '{tensor.name}' has shape {tuple(x.shape)}, "
                f"expected (samples, {', '.join(map(str, tensor.shape[1:]))})"
            )


def execute(
    graph: Graph, steps: Sequence[Step], inputs: Sequence[Any], constant: Callable[[Tensor], Any]
) -> Steps:
    """Carry out every node by its step, in order, yielding it with its outputs.

    `inputs` have shape (N, *tensor.shape[1:]), the outputs (N, *tensor.shape). `constant` gives a
    constant tensor's values as the steps take them, shape (1, *tensor.shape). A tensor is dropped
    after its last use.
    """
    yield from resume(graph, steps, values_of(graph, inputs), constant, range(len(steps)))


def values_of(graph: Graph, inputs: Sequence[Any]) -> dict[int, Any]:
    """The inputs by their tensors' indices, as `resume` takes them before the first node."""
    return {
        index: x.reshape(len(x), *graph.tensors[index].shape)
        for index, x in zip(graph.inputs, inputs, strict=True)
    }


def resume(
    graph: Graph,
    steps: Sequence[Step],
    values: dict[int, Any],
    constant: Callable[[Tensor], Any],
    places: range,
) -> Steps:
    """`execute` the nodes at `places` on `values`, the tensors that are known and still wanted, which it
    keeps so."""
    last_use = {index: place for place, node in enumerate(graph.nodes) for index in node.inputs}
    for place in places:
        node = graph.nodes[place]

        def argument(index: int) -> Any:
            if index < 0:
                return None
            tensor = graph.tensors[index]
            return constant(tensor) if tensor.is_constant else values[index]

        results = steps[place](*map(argument, node.inputs))
        values.update(zip(node.outputs, results, strict=True))
        yield node, results
        for index in {*node.inputs, *node.outputs}:
            if last_use.get(index, -1) <= place:
                values.pop(index, None)


def outputs_of(graph: Graph, steps: Steps, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The graph's outputs, shape (N, *tensor.sample_shape), out of what `execute` yields."""
    values = dict(zip(graph.inputs, inputs, strict=True))
    for node, results in steps:
        for index, result in zip(node.outputs, results, strict=True):
            if index in graph.outputs:
                values[index] = result
    return tuple(
        values[index].reshape(len(values[index]), *graph.tensors[index].sample_shape)
        for index in graph.outputs
    )
