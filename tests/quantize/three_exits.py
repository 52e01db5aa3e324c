# SPDX-License-Identifier: Apache-2.0
"""One trained network of digits with three exits, in PyTorch and as its twin in Keras."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

CLASSES = 10
CHANNELS, SIDES = (8, 12, 16), (6, 4, 2)  # of what each head reads, square
STEPS = 80


class ThreeExits(torch.nn.Module):
    """Images float32 (N, 1, 8, 8) in [0, 1] to three softmaxes (N, 10); `order` is that in which they are
    returned, 0 the shallowest."""

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        self.order = tuple(order)
        self.convolutions = torch.nn.ModuleList(
            torch.nn.Conv2d(inputs, outputs, 3)
            for inputs, outputs in zip((1, *CHANNELS), CHANNELS, strict=False)
        )
        self.heads = torch.nn.ModuleList(
            torch.nn.Linear(channels * side**2, CLASSES)
            for channels, side in zip(CHANNELS, SIDES, strict=True)
        )

    def logits(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Those of each exit, shallowest first."""
        found = []
        for convolution, head in zip(self.convolutions, self.heads, strict=True):
            x = torch.relu(convolution(x))
            found.append(head(x.flatten(1)))
        return found

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        exits = [logits.softmax(1) for logits in self.logits(x)]
        return tuple(exits[number] for number in self.order)


def shallowest_first() -> ThreeExits:
    return ThreeExits((0, 1, 2))


def deepest_first() -> ThreeExits:
    return ThreeExits((2, 1, 0))


def trained(x: np.ndarray, y: np.ndarray) -> ThreeExits:
    """All exits together, by Adam on all of `x`, float32 (N, 1, 8, 8), at once."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = shallowest_first()
    images, labels = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        losses = [torch.nn.functional.cross_entropy(each, labels) for each in network.logits(images)]
        torch.stack(losses).sum().backward()
        optimizer.step()
    return network.eval()


def save(network: ThreeExits, path: Path) -> None:
    """Its weights, as MODULE:FUNCTION:WEIGHTS.npz reads them."""
    np.savez(path, **{name: value.numpy() for name, value in network.state_dict().items()})


def keras_twin(network: ThreeExits, order: Sequence[int]) -> Any:
    """The same network in Keras, its exits named by their depth and given in `order`."""
    from tensorflow import keras

    inputs = x = keras.Input((8, 8, 1))
    exits = []
    for number, (convolution, head) in enumerate(zip(network.convolutions, network.heads, strict=True)):
        layer = keras.layers.Conv2D(CHANNELS[number], 3, activation="relu")
        x = layer(x)
        layer.set_weights([_array(convolution.weight).transpose(2, 3, 1, 0), _array(convolution.bias)])
        dense = keras.layers.Dense(CLASSES, activation="softmax", name=f"depth_{number}")
        exits.append(dense(keras.layers.Flatten()(x)))
        # channels first in PyTorch, last in Keras
        matrix = _array(head.weight).reshape(CLASSES, CHANNELS[number], SIDES[number], SIDES[number])
        dense.set_weights([matrix.transpose(2, 3, 1, 0).reshape(-1, CLASSES), _array(head.bias)])
    return keras.Model(inputs, [exits[number] for number in order])


def _array(parameter: Any) -> np.ndarray:
    return np.asarray(parameter.detach().numpy())
