# SPDX-License-Identifier: Apache-2.0
"""Keras files in training: Keras 3 on its torch back end makes a model a `torch.nn.Module`."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinyguard.data import Samples
from tinyguard.errors import TinyguardError
from tinyguard.quiet import quiet
from tinyguard.sources.one_output import find_named
from tinyguard.tflite.metadata import Normalization
from tinyguard.training.float_network import FloatNetwork
from tinyguard.training.pixels import pixels_of
from tinyguard.training.recipes import RECIPES, Settings
from tinyguard.training.trainable_network import State, TrainableNetwork

# Of batch norms' statistics, PyTorch's: with Keras' 0.99 those of clean images would stay for epochs.
_MOMENTUM = 0.9


class KerasSource:
    """A `.keras` or `.h5` file; what is trained is saved as `.keras`, for any back end of Keras.

    Keras takes one back end per process: TensorFlow's Keras and this one cannot share it.
    """

    ending = ".keras"

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        normalization: Normalization | None,
        settings: Settings,
        output: str | None,
    ) -> None:
        self._keras = _keras_on_torch(path)
        with quiet(f"loading {path}"):
            self._model = self._keras.models.load_model(path, compile=False)
        exits = RECIPES[settings.recipe].exits
        self._model = self._model if exits else self._alone(output)
        self._momenta = {layer.name: layer.momentum for layer in self._batch_norms(self._model)}
        self._shape = shape
        self._options: dict[str, Any] = {
            "normalization": normalization,
            "bfloat16": settings.bfloat16,
            "exits": exits,
        }
        self._network = self._trainable(self._model)
        self.key = hashlib.sha256(path.read_bytes()).hexdigest()
        self._models = {id(self._network): self._model}

    @property
    def network(self) -> FloatNetwork:
        return self._network

    def arrays(self, samples: Samples) -> np.ndarray:
        return pixels_of(samples, self._shape)

    def fresh(self, seed: int) -> FloatNetwork:
        self._keras.utils.set_random_seed(seed)
        model = self._keras.models.clone_model(self._model)
        network = self._trainable(model)
        self._models[id(network)] = model
        return network

    def content(self, network: TrainableNetwork) -> bytes:
        with tempfile.TemporaryDirectory(prefix="tinyguard-keras-") as folder:
            path = Path(folder) / "network.keras"
            model = self._models[id(network)]
            for layer in self._batch_norms(model):
                layer.momentum = self._momenta[layer.name]
            with quiet("saving the Keras model"):
                model.save(path)
            return path.read_bytes()

    def _alone(self, wanted: str | None) -> Any:
        """The model with the output that is wanted, by a dictionary's key, the layer's name or its number; as
        it is where it has one."""
        outputs = self._model.output
        if isinstance(outputs, dict):
            named = list(outputs.items())
        else:
            named = list(zip(self._model.output_names, self._model.outputs, strict=True))
        if wanted is None and len(named) == 1:
            return self._model
        place = find_named([(name, tuple(tensor.shape[1:])) for name, tensor in named], wanted)
        return self._keras.Model(self._model.inputs, named[place][1], name=self._model.name)

    def _batch_norms(self, model: Any) -> list[Any]:
        kind = self._keras.layers.BatchNormalization
        return [layer for layer in model._flatten_layers() if isinstance(layer, kind)]

    def _trainable(self, model: Any) -> FloatNetwork:
        for layer in self._batch_norms(model):
            layer.momentum = min(layer.momentum, _MOMENTUM)
        return FloatNetwork(
            _Module(model),
            self._shape,
            channels_first=False,
            state=lambda: _variables(model),
            **self._options,
        )


class _Module(torch.nn.Module):
    """A Keras model that learns when the module is in training mode."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> Any:
        return self.model(x, training=self.training)


def _variables(model: Any) -> State:
    """The model's own tensors by place and path: weights, statistics, states of random layers."""
    return {f"{place}.{variable.path}": variable.value.data for place, variable in enumerate(model.variables)}


def _keras_on_torch(path: Path) -> Any:
    loaded = sys.modules.get("keras")
    os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")
    os.environ["KERAS_BACKEND"] = "torch"
    try:
        with quiet(f"loading Keras for {path}", raw=True):
            keras: Any = loaded or __import__("keras")
    except ImportError:
        raise TinyguardError("Keras networks need Keras: type pip install 'tinyguard[keras]'") from None
    if keras.backend.backend() != "torch":
        raise TinyguardError(
            f"Keras runs on {keras.backend.backend()} in this process and {path} is trained on torch: type "
            "tinyguard harden train, which has a process of its own"
        )
    return keras
