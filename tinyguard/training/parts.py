# SPDX-License-Identifier: Apache-2.0
"""A batch through a network in parts, one thread per part, with gradients of inputs and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from tinyguard.simulator.parallel import lone_threads

_LEAST_SAMPLES = 8  # per part: below, starting a thread costs more than it gains


def logits_in_parts(
    network: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, weights: Sequence[torch.Tensor]
) -> torch.Tensor:
    """`network(x)` (N, classes) of a network that treats each sample alone, in up to torch.get_num_threads()
    parts. `weights` are the leaves that the network uses; their gradients are summed in the order of the
    parts, so a number of threads always gives the same bits."""
    count = min(torch.get_num_threads(), len(x) // _LEAST_SAMPLES)
    if count < 2:
        return network(x)
    logits: torch.Tensor = _Parts.apply(network, count, x, *weights)
    return logits


class _Parts(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        context: Any,
        network: Callable[[torch.Tensor], torch.Tensor],
        count: int,
        x: torch.Tensor,
        *weights: torch.Tensor,
    ) -> torch.Tensor:
        def part(piece: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            with torch.enable_grad():
                leaf = piece.detach().requires_grad_(context.needs_input_grad[2])
                return leaf, network(leaf)

        with lone_threads(count) as pool:
            context.parts = list(pool.map(part, x.tensor_split(count)))
        context.weights = weights
        return torch.cat([logits.detach() for _, logits in context.parts])

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        wants_x = context.needs_input_grad[2]

        def part(made: tuple[torch.Tensor, torch.Tensor], piece: torch.Tensor) -> tuple[torch.Tensor, ...]:
            leaf, logits = made
            wanted = [*([leaf] if wants_x else []), *context.weights]
            return torch.autograd.grad(logits, wanted, piece, allow_unused=True, materialize_grads=True)

        with lone_threads(len(context.parts)) as pool:
            split = gradient.tensor_split(len(context.parts))
            pieces = list(pool.map(part, context.parts, split))
        of_x = torch.cat([piece[0] for piece in pieces]) if wants_x else None
        of_weights = [sum(each) for each in zip(*(piece[wants_x:] for piece in pieces), strict=True)]
        return None, None, of_x, *of_weights
