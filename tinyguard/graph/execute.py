"""Running resolved operators one after the other, in NumPy or in torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.operators import Operator


def check_inputs(graph: Graph, inputs: Sequence[Any]) -> None:
    """Raise TinyguardError unless there is one (N, *tensor.shape[1:]) array a graph input."""
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
    graph: Graph,
    operators: Sequence[Operator],
    method: str,
    inputs: Sequence[Any],
    constant: Callable[[Tensor], Any],
) -> Iterator[tuple[Operator, tuple[Any, ...]]]:
    """Run every operator by its `method` ("run" or "forward"), yielding it with its outputs.

    `inputs` have shape (N, *tensor.shape[1:]), the outputs (N, *tensor.shape). `constant` gives a
    constant tensor's values as the method takes them, shape (1, *tensor.shape). A tensor is dropped
    after its last use.
    """
    values = values_of(graph, inputs)
    yield from resume(graph, operators, method, values, constant, range(len(operators)))


def values_of(graph: Graph, inputs: Sequence[Any]) -> dict[int, Any]:
    """The inputs by their tensors' indices, as `resume` takes them before the first step."""
    return {
        index: x.reshape(len(x), *graph.tensors[index].shape)
        for index, x in zip(graph.inputs, inputs, strict=True)
    }


def resume(
    graph: Graph,
    operators: Sequence[Operator],
    method: str,
    values: dict[int, Any],
    constant: Callable[[Tensor], Any],
    steps: range,
) -> Iterator[tuple[Operator, tuple[Any, ...]]]:
    """`execute` some steps on `values`, the tensors that are known and still wanted, which it keeps so."""
    last_use = {index: step for step, node in enumerate(graph.nodes) for index in node.inputs}
    for step in steps:
        operator = operators[step]

        def argument(index: int) -> Any:
            if index < 0:
                return None
            tensor = graph.tensors[index]
            return constant(tensor) if tensor.is_constant else values[index]

        results = getattr(operator, method)(*map(argument, operator.node.inputs))
        values.update(zip(operator.node.outputs, results, strict=True))
        yield operator, results
        for index in {*operator.node.inputs, *operator.node.outputs}:
            if last_use.get(index, -1) <= step:
                values.pop(index, None)


def outputs_of(
    graph: Graph, steps: Iterator[tuple[Operator, tuple[Any, ...]]], inputs: Sequence[Any]
) -> tuple[Any, ...]:
    """The graph's outputs, shape (N, *tensor.sample_shape), out of the steps of `execute`."""
    found = dict(zip(graph.inputs, inputs, strict=True))
    for operator, results in steps:
        for index, result in zip(operator.node.outputs, results, strict=True):
            if index in graph.outputs:
                found[index] = result
    return tuple(
        found[index].reshape(len(found[index]), *graph.tensors[index].sample_shape) for index in graph.outputs
    )
