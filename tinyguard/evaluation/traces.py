# SPDX-License-Identifier: Apache-2.0
"""Every tensor of one sample, on any side: what `tinyguard diff` compares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.lengths import cleared

if TYPE_CHECKING:
    from tinyguard.device.client import Device


def trace_host(name: str, path: Path, graph: Graph, inputs: tuple[np.ndarray, ...]) -> dict[int, np.ndarray]:
    """Tensor index -> array (1, *tensor.shape), from a host back end by name. `inputs` have N = 1."""
    if name == "simulator":
        from tinyguard.simulator.network import Simulator

        return cleared(graph, Simulator(graph).tensors(*inputs))
    if name == "reference":
        from tinyguard.backends.reference import ReferenceBackend

        return cleared(graph, ReferenceBackend(graph).tensors(*inputs))
    if name == "compiled":
        from tinyguard.backends.compiled import CompiledBackend

        return cleared(graph, CompiledBackend(graph).tensors(*inputs))
    if name == "litert":
        return _trace_litert(path, graph, inputs)
    raise TinyguardError(f"no host back end named {name!r}; known: simulator, litert, reference, compiled")


def _trace_litert(path: Path, graph: Graph, inputs: tuple[np.ndarray, ...]) -> dict[int, np.ndarray]:
    from tinyguard.backends.added import AddedBackend, added_after
    from tinyguard.backends.filtered import FilteredBackend
    from tinyguard.backends.litert import LiteRTBackend
    from tinyguard.tflite.record.filters import filters_of

    inner, outputs = LiteRTBackend(path, preserve_all_tensors=True), {}
    if filters_of(graph).nodes:
        filtered = FilteredBackend(inner, graph)
        outputs, inputs = filtered.filtered(*inputs), (filtered.last(*inputs),)
    computed = {index for node in graph.nodes for index in node.outputs}
    tensors = {index: array[None] for index, array in next(inner.trace(*inputs)).items()}
    if added := added_after(graph):
        tensors = AddedBackend(inner, graph, added).computed(tensors)
    return outputs | {index: array for index, array in tensors.items() if index in computed}


def trace_device(
    device: Device, graph: Graph, inputs: tuple[np.ndarray, ...]
) -> tuple[Graph, dict[int, np.ndarray]]:
    """The same from a connected board, layer by layer, with the network as the board runs it.

    That is `graph` rewritten by the passes, or as it is in the file when it was flashed so, under the
    settings in force on the board. `inputs` have N = 1. Raises TinyguardError when the board's layers are
    neither.
    """
    from tinyguard import passes
    from tinyguard.backends.device import agreed, borrowed

    graph, drawn = agreed(device, graph, {})
    with borrowed(device, drawn):
        runs = list(device.run_layers(*(x[0] for x in inputs)))
    shapes = [[output.shape for output in run.outputs] for run in runs]
    for flashed in (passes.optimize(graph), graph):
        tensors = flashed.tensors
        if shapes == [[tensors[i].shape or (1,) for i in node.outputs] for node in flashed.nodes]:
            return flashed, cleared(
                flashed,
                {
                    index: output.reshape(1, *tensors[index].shape)
                    for node, run in zip(flashed.nodes, runs, strict=True)
                    for index, output in zip(node.outputs, run.outputs, strict=True)
                },
            )
    raise TinyguardError(
        f"the {len(runs)} layers of the board on {device.port} are not this network's: flash it again"
    )


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
