# SPDX-License-Identifier: Apache-2.0
"""An integer network in training: real weights over the codes of a .tflite file, executed by its
arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from tinyguard.attacks.space import space_of
from tinyguard.attacks.victim import check_classes
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.simulator.choose_layer import layer_of
from tinyguard.simulator.network import Simulator
from tinyguard.tflite.metadata import Metadata
from tinyguard.training.integer_layers import TRAINABLE, TrainedLayer
from tinyguard.training.parts import logits_in_parts
from tinyguard.training.real_weights import RealWeights
from tinyguard.training.trainable_network import State


class IntegerNetwork:
    """The network of `graph`, int8 or int16x8; `metadata` says how pixels become codes.

    Trained are the weights and biases of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED, as `RealWeights` has
    it; every other operator passes its own straight-through gradient. Zero points and the scales of
    activations stay as the file has them. `x` are [0, 1] pixels (N, *shape), seen rounded to codes.
    """

    def __init__(self, graph: Graph, metadata: Metadata | None, rescale: bool = True) -> None:
        self.classes = check_classes(graph)
        self.space = space_of(graph.tensors[graph.inputs[0]], metadata.normalization if metadata else None)
        self.simulator = Simulator(graph)
        self._places = {
            place: RealWeights(layer.operator, rescale)
            for place, layer in enumerate(self.simulator.layers)
            if isinstance(layer, TRAINABLE)
        }
        indices = [
            tensor.index for parameters in self._places.values() for tensor in parameters.tensors if tensor
        ]
        if not indices:
            raise TinyguardError(
                "the network has no convolution or dense layer with constant weights to train"
            )
        if len(set(indices)) < len(indices):
            raise TinyguardError("layers of the network share weights, and int8-at trains each layer's own")
        self.rebuild()

    @property
    def graph(self) -> Graph:
        """The network with its constants as they are now."""
        return self.simulator.graph

    def laid_out(self, arrays: torch.Tensor) -> torch.Tensor:
        return self.space.code_offset + self.space.code_step * arrays.to(torch.float32)

    def attacked(self) -> Callable[[torch.Tensor], torch.Tensor]:
        simulator = self.simulator
        return lambda x: simulator.logits(self.space.straight_through_codes(x))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        network = self._trained if torch.is_grad_enabled() else self.simulator
        return logits_in_parts(
            network.logits, self.space.straight_through_codes(x), [*self._named().values()]
        )

    def weights(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        biases = [parameters.bias for parameters in self._places.values() if parameters.bias is not None]
        return [parameters.weights for parameters in self._places.values()], biases

    def state(self) -> State:
        return {name: value.detach() for name, value in self._named().items()}

    @torch.no_grad()
    def load(self, state: State) -> None:
        for name, value in self._named().items():
            value.copy_(state[name])
        self.rebuild()

    def rebuild(self) -> None:
        """Make the layers anew of the codes that the real weights now have."""
        before = self.simulator
        constants = {place: parameters.constants() for place, parameters in self._places.items()}
        changed = {
            tensor.index: tensor
            for place, parameters in self._places.items()
            for tensor in parameters.tensors_of(constants[place])
        }
        graph = replace(
            before.graph, tensors=tuple(changed.get(tensor.index, tensor) for tensor in before.graph.tensors)
        )
        layers = list(before.layers)
        for place, parameters in self._places.items():
            layers[place] = layer_of(parameters.operator_in(graph))
        self.simulator = before.with_layers(graph, layers)
        trained = [
            TrainedLayer(layer, self._places[place].weights, self._places[place].bias)
            if isinstance(layer, TRAINABLE) and place in self._places
            else layer
            for place, layer in enumerate(layers)
        ]
        self._trained = before.with_layers(graph, trained)

    def _named(self) -> State:
        named: State = {}
        for parameters in self._places.values():
            weights, bias = parameters.tensors
            named[f"weights.{weights.index}"] = parameters.weights
            if bias is not None and parameters.bias is not None:
                named[f"bias.{bias.index}"] = parameters.bias
        return named
