# SPDX-License-Identifier: Apache-2.0
"""The float network that a `.tflite` was made from, as a back end and differentiable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from tinyguard.data.codes import dequantized
from tinyguard.data.shares import shares_of
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.graph.answer import answer_place, answer_tensor, class_count
from tinyguard.quiet import quiet
from tinyguard.simulator.pages import keep_pages
from tinyguard.simulator.parallel import run_in_parts
from tinyguard.sources.exported import plain
from tinyguard.sources.torch_module import FloatNetwork, WithoutEnding, load_torch_module
from tinyguard.sources.without_gradients import LEAST_BATCH, for_inference
from tinyguard.tflite.metadata import Normalization

CHECKED_SAMPLES = 16


class FloatSource:
    """A float network that takes what `tensor`, the integer network's input, stands for.

    `network` is in eval mode and its weights take no gradients. See `FloatNetwork` for its `ending`.
    """

    name = "float"

    def __init__(self, network: FloatNetwork, tensor: Tensor, batch_size: int = 128) -> None:
        self.network = network.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.tensor = tensor
        self.batch_size = batch_size
        self._compiled: FloatNetwork | None = None
        keep_pages()

    def logits(self, real: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of real values float32 (N, *input shape), channels last: differentiable.

        Where no gradient is asked for, a compiled network answers; both agree but for rounding.
        """
        wanted = torch.is_grad_enabled() and real.requires_grad
        if wanted or real.device.type != "cpu":
            return run_in_parts(lambda x: (self.network(x),), (real,))[0]
        compiled = self._for_inference()
        return run_in_parts(lambda x: (compiled(_filled_up(x))[: len(x)],), (real,))[0]

    def _for_inference(self) -> FloatNetwork:
        if self._compiled is None:
            self._compiled = for_inference(self.network, _samples(self.tensor, None))
        return self._compiled

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """The `Backend` form: codes (N, *input shape) to float32 logits (N, classes)."""
        (codes,) = inputs
        parts = []
        with torch.no_grad():
            for start in range(0, max(1, len(codes)), self.batch_size):
                real = dequantized(codes[start : start + self.batch_size], self.tensor)
                parts.append(self.logits(torch.from_numpy(real)).numpy())
        return (np.concatenate(parts),)


def open_float_source(source: str, graph: Graph, normalization: Normalization | None) -> FloatSource:
    """The float network `source` (see `load_torch_module`) beside `graph`, the integer one made from it.

    Raises TinyguardError for a source that cannot be read or has other inputs or classes than the graph.
    """
    if len(graph.inputs) != 1:
        raise TinyguardError(f"a float source takes one input and the network has {len(graph.inputs)}")
    tensor, classes = graph.tensors[graph.inputs[0]], class_count(graph)
    network = load_torch_module(source, tuple(tensor.shape[1:]), partial(_same_output, source, graph))
    real = _samples(tensor, normalization)
    with torch.no_grad():
        expected = network(real)
        if expected.shape[1] != classes:
            raise TinyguardError(
                f"{source} has {expected.shape[1]} classes and the network {classes}: name the "
                "network that the .tflite was made from"
            )
        faster = _exported(network, real)
        if faster is not None:
            close = torch.allclose(faster(real), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
            network = faster if close else network
    return FloatSource(network, tensor)


def _same_output(source: str, graph: Graph, named: Sequence[tuple[str, tuple[int, ...]]]) -> int:
    """Which of the source's outputs the graph answers with: that of its name, else in a network of as many
    outputs that in its place, else the only one of its size."""
    tensor, (place, count) = answer_tensor(graph), answer_place(graph)
    names = [name for name, _ in named]
    if len(named) == 1:
        return 0
    if names.count(tensor.name) == 1:
        return names.index(tensor.name)
    if len(named) == count:
        return place
    sized = [number for number, (_, shape) in enumerate(named) if math.prod(shape) == tensor.elements]
    if len(sized) == 1:
        return sized[0]
    raise TinyguardError(
        f"{source} has {len(named)} outputs, and which of them the .tflite answers with is not plain: give a "
        "source with that output alone"
    )


def _samples(tensor: Tensor, normalization: Normalization | None) -> torch.Tensor:
    """Real values drawn over the codes that pixels can have."""
    shares = shares_of(tensor, normalization)
    drawn = np.random.default_rng(0).random((CHECKED_SAMPLES, *tensor.shape[1:]))
    low, high = np.array(shares.low_code), np.array(shares.high_code)
    return torch.from_numpy(dequantized(np.rint(low + drawn * (high - low)), tensor))


def _filled_up(real: torch.Tensor) -> torch.Tensor:
    """The samples, and at most an eighth more, or as many as make LEAST_BATCH: a compiled layer is prepared
    for every size of batch it meets, which costs as much as a hundred small images."""
    step = 1 << max(0, len(real).bit_length() - 4)
    missing = max(-len(real) % step, LEAST_BATCH - len(real)) if len(real) else 0
    return real if not missing else torch.cat([real, real[:1].expand(missing, *real.shape[1:])])


def _exported(network: FloatNetwork, real: torch.Tensor) -> FloatNetwork | None:
    """The same network with its batch norms folded; None where torch.export cannot follow it."""
    inner = network.network
    if network.one_by_one or network.folded or isinstance(inner, torch.jit.ScriptModule):
        return None
    inner = inner.network if isinstance(inner, WithoutEnding) else inner
    try:
        with quiet("exporting the float source", raw=True):
            batch = {0: torch.export.Dim("batch", min=1)}
            example = (network.laid_out(real),)
            exported = torch.export.export(inner, example, dynamic_shapes=(batch,))
            folded, ending = plain(exported.module(), network.output)
    except Exception:  # torch.export refuses in many ways; the network as it is serves too
        return None
    if ending != (network.ending if network.ending != "probabilities" else "logits"):
        return None
    rebuilt = FloatNetwork(folded, network.shape, network.channels_first)
    rebuilt.ending, rebuilt.folded = network.ending, True
    return rebuilt
