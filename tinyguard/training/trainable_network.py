# SPDX-License-Identifier: Apache-2.0
"""What the training loop knows of a network, whatever it is made of, and its moving average."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

from tinyguard.attacks.space import Space

State = dict[str, torch.Tensor]


class TrainableNetwork(Protocol):
    """A classifier in training. Inputs `x` are float32 [0, 1] pixels in the network's own layout,
    logits float32 (N, classes), of a `MultiExitNetwork` (N, exits, classes)."""

    @property
    def space(self) -> Space:
        """The pixel box, and the grid of what the network can be given, to broadcast over `x`."""
        ...

    @property
    def classes(self) -> int: ...

    def laid_out(self, arrays: torch.Tensor) -> torch.Tensor:
        """`x` of stored samples (N, *shape), channels last: uint8 pixels or codes."""
        ...

    def attacked(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """`x` to logits as deployed, with a gradient of `x` alone, until the next `rebuild`."""
        ...

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits in training mode, with a gradient of the weights."""
        ...

    def weights(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """What is trained: first what weight decay applies to, then the rest."""
        ...

    def rebuild(self) -> None:
        """Take up weights that the optimizer has moved."""
        ...

    def state(self) -> State:
        """The tensors that are the network, not copied."""
        ...

    def load(self, state: State) -> None:
        """Fill the network with copies of `state`."""
        ...


class MultiExitNetwork(TrainableNetwork, Protocol):
    """A classifier with several exits, shallowest first."""

    @property
    def exits(self) -> int: ...

    def attacked_at(self, place: int) -> Callable[[torch.Tensor], torch.Tensor]:
        """`attacked` of one exit alone: logits (N, classes)."""
        ...

    def last_matrices(self) -> list[torch.Tensor]:
        """The matrix that makes each exit's logits, with a gradient."""
        ...


def copied(state: State) -> State:
    """A state of its own."""
    return {name: value.detach().clone() for name, value in state.items()}


@torch.no_grad()
def update_average(average: State, network: TrainableNetwork, kept: float) -> None:
    """Move `average` towards the network's state, `kept` of it staying; counters are taken over."""
    for name, value in network.state().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - kept)
        else:
            average[name].copy_(value)


@contextmanager
def holding(network: TrainableNetwork, state: State) -> Iterator[None]:
    """In the body the network holds `state`; afterwards its own again."""
    own = copied(network.state())
    network.load(state)
    try:
        yield
    finally:
        network.load(own)
