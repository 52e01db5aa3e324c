"""Every tensor of one sample, on any side: what `tinyguard diff` compares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph

if TYPE_CHECKING:
    from tinyguard.device.client import Device


def trace_host(name: str, path: Path, graph: Graph, inputs: tuple[np.ndarray, ...]) -> dict[int, np.ndarray]:
    """Tensor index -> array (1, *tensor.shape), from a host back end by name. `inputs` have N = 1."""
    if name == "simulator":
        from tinyguard.backends.simulator import Simulator

        return Simulator(graph).tensors(*inputs)
    if name == "reference":
        from tinyguard.backends.reference import ReferenceBackend

        return ReferenceBackend(graph).tensors(*inputs)
    if name == "compiled":
        from tinyguard.backends.compiled import CompiledBackend

        return CompiledBackend(graph).tensors(*inputs)
    if name == "litert":
        from tinyguard.backends.litert import LiteRTBackend

        tensors = next(LiteRTBackend(path, preserve_all_tensors=True).trace(*inputs))
        computed = {index for node in graph.nodes for index in node.outputs}
        return {index: array[None] for index, array in tensors.items() if index in computed}
    raise TinyguardError(f"no host back end named {name!r}; known: simulator, litert, reference, compiled")


def as_flashed(graph: Graph, layers: int) -> Graph:
    """The network as a board with so many layers runs it: rewritten by the passes, or as in the file."""
    from tinyguard import passes

    for candidate in (passes.optimize(graph), graph):
        if len(candidate.nodes) == layers:
            return candidate
    raise TinyguardError(
        f"the board runs {layers} layers and this network has {len(graph.nodes)}: flash it again"
    )


def trace_device(device: Device, graph: Graph, inputs: tuple[np.ndarray, ...]) -> dict[int, np.ndarray]:
    """The same from a connected board, layer by layer; `graph` as it was flashed. `inputs` have N = 1."""
    found: dict[int, np.ndarray] = {}
    for run in device.run_layers(*(x[0] for x in inputs)):
        for index, output in zip(graph.nodes[run.layer].outputs, run.outputs, strict=True):
            found[index] = output.reshape(1, *graph.tensors[index].shape)
    return found


def random_inputs(graph: Graph, seed: int) -> tuple[np.ndarray, ...]:
    """One random sample: an array (1, *tensor.shape[1:]) an input, codes over their whole range."""
    rng = np.random.default_rng(seed)
    arrays = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        shape = (1, *tensor.shape[1:])
        if tensor.dtype == "float32":
            arrays.append(rng.normal(size=shape).astype(np.float32))
        else:
            limits = np.iinfo(tensor.dtype)
            arrays.append(rng.integers(limits.min, limits.max + 1, shape).astype(tensor.dtype))
    return tuple(arrays)
