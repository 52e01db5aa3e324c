# SPDX-License-Identifier: Apache-2.0
"""What is trained, by the name a user types: a .tflite, a PyTorch function, a Keras file; and the file it
becomes."""

from __future__ import annotations

import copy
import hashlib
import io
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from tinyguard.data import Samples, to_codes
from tinyguard.errors import TinyguardError
from tinyguard.sources.torch_files import ENDINGS as TORCH_FILES
from tinyguard.sources.torch_files import OUTPUT, open_torch
from tinyguard.sources.torch_module import KERAS_ENDINGS
from tinyguard.tflite import read_metadata, with_one_output
from tinyguard.tflite.content import read_bytes
from tinyguard.tflite.metadata import Normalization
from tinyguard.tflite.reader import read_graph
from tinyguard.training.export import with_constants
from tinyguard.training.float_network import FloatNetwork
from tinyguard.training.integer_network import IntegerNetwork
from tinyguard.training.pixels import pixels_of
from tinyguard.training.recipes import RECIPES, Settings
from tinyguard.training.trainable_network import TrainableNetwork


class Source(Protocol):
    """A network to train. `ending` is the output file's, `key` names the network as it came."""

    ending: str
    key: str

    @property
    def network(self) -> TrainableNetwork: ...

    def arrays(self, samples: Samples) -> np.ndarray:
        """The samples as the network's `laid_out` takes them. Raises TinyguardError where they do not fit."""
        ...

    def fresh(self, seed: int) -> TrainableNetwork:
        """A network of the same layers with weights drawn anew."""
        ...

    def content(self, network: TrainableNetwork) -> bytes:
        """The file of `network`, this source's own or a fresh one."""
        ...


class IntegerSource:
    """A .tflite whose integer network is trained."""

    ending = ".tflite"

    def __init__(self, path: Path, settings: Settings, output: str | None) -> None:
        self._file = read_bytes(path) if output is None else with_one_output(read_bytes(path), output)
        self._metadata = read_metadata(self._file)
        graph = read_graph(self._file)
        self._tensor = graph.tensors[graph.inputs[0]]
        self._network = IntegerNetwork(graph, self._metadata, settings.rescale)
        self.key = hashlib.sha256(self._file).hexdigest()

    @property
    def network(self) -> IntegerNetwork:
        return self._network

    def arrays(self, samples: Samples) -> np.ndarray:
        if samples.x.shape[1:] != tuple(self._tensor.shape[1:]):
            raise TinyguardError(
                f"{samples.name}: samples have shape {samples.x.shape[1:]} and the network takes "
                f"{tuple(self._tensor.shape[1:])}"
            )
        return to_codes(samples, self._tensor, self._metadata)

    def fresh(self, seed: int) -> TrainableNetwork:
        raise TinyguardError("an integer network has no weights to draw anew: train the float network")

    def content(self, network: TrainableNetwork) -> bytes:
        assert isinstance(network, IntegerNetwork)
        return with_constants(self._file, network.graph)


class TorchSource:
    """A PyTorch MODULE:FUNCTION; the file is an .npz of the state's arrays, as `open_torch` takes it."""

    ending = ".npz"

    def __init__(
        self,
        text: str,
        shape: tuple[int, ...],
        normalization: Normalization | None,
        settings: Settings,
        output: str | None,
    ) -> None:
        self._options: dict[str, Any] = {
            "normalization": normalization,
            "bfloat16": settings.bfloat16,
            "exits": RECIPES[settings.recipe].exits,
        }
        self._shape, self._chosen = shape, output is not None
        self._network = FloatNetwork(open_torch(text), shape, output=output, **self._options)
        self._options["output"] = self._network.output
        self.key = _digest(self._network.state())

    @property
    def network(self) -> FloatNetwork:
        return self._network

    def arrays(self, samples: Samples) -> np.ndarray:
        return pixels_of(samples, self._shape)

    def fresh(self, seed: int) -> FloatNetwork:
        module = copy.deepcopy(self._network.module)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for part in module.modules():
                reset: Any = getattr(part, "reset_parameters", None)
                if reset is not None:
                    reset()
        return FloatNetwork(module, self._shape, **self._options)

    def content(self, network: TrainableNetwork) -> bytes:
        stream = io.BytesIO()
        arrays: dict[str, Any] = {name: value.numpy() for name, value in network.state().items()}
        if self._chosen:
            arrays[OUTPUT] = np.array(self._network.output)
        np.savez_compressed(stream, **arrays)
        return stream.getvalue()


def open_source(
    text: str,
    shape: tuple[int, ...],
    normalization: Normalization | None,
    settings: Settings,
    output: str | None = None,
) -> Source:
    """The network that `text` names, for samples of `shape`, channels last; `output` is the name or number of
    the output that is trained, and that the file then has alone.

    Raises TinyguardError where there is none that can be trained, and where the recipe is for the other kind.
    """
    path = Path(text)
    integer = path.suffix == ".tflite"
    if RECIPES[settings.recipe].integer and not integer:
        raise TinyguardError(
            f"{settings.recipe} trains an integer network and {text} is a float one: give the .tflite that "
            "tinyguard quantize makes of it"
        )
    if integer and not RECIPES[settings.recipe].integer:
        raise TinyguardError(
            f"{settings.recipe} trains a float network and {text} is a quantized one: give the network that "
            "it was made from, or type --recipe int8-at"
        )
    if integer:
        return IntegerSource(path, settings, output)
    if RECIPES[settings.recipe].exits and output is not None:
        raise TinyguardError(f"{settings.recipe} trains every exit, and --output names one: leave it out")
    if path.suffix in (*KERAS_ENDINGS, *TORCH_FILES, ".onnx") and not path.is_file():
        raise TinyguardError(f"source {text} is not there: give the float network's file")
    if path.suffix in KERAS_ENDINGS:
        from tinyguard.training.keras_network import KerasSource

        return KerasSource(path, shape, normalization, settings, output)
    if path.is_dir() or path.suffix in (*TORCH_FILES, ".onnx"):
        raise TinyguardError(f"{text} cannot be trained: give a .keras file or a PyTorch MODULE:FUNCTION")
    return TorchSource(text, shape, normalization, settings, output)


def _digest(state: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in state.items():
        digest.update(name.encode() + b"\0" + value.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()
