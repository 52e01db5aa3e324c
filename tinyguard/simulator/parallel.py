# SPDX-License-Identifier: Apache-2.0
"""A network in torch over a batch in parts, one thread per part, forward and backward.

torch's own threads meet at the end of every operation. On a machine that does other work too, each
meeting waits for the slower thread; parts of a batch meet once.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd.function import once_differentiable

Network = Callable[..., tuple[torch.Tensor, ...]]

_LEAST_BATCH = 4  # below, torch's matrix products sum in another order
_LEAST_SAMPLES = 8  # per part: below, starting a thread costs more than it gains


def even_parts(samples: int, most: int) -> Iterator[tuple[int, int]]:
    """Starts and ends of batches of up to `most` samples, alike in size: a last one of a few samples would
    cost nearly as much as a whole one. One empty batch where there are no samples."""
    count = max(1, -(-samples // most))
    for part in range(count):
        yield part * samples // count, (part + 1) * samples // count


def run_in_parts(
    network: Network, inputs: tuple[torch.Tensor, ...], *, exact: bool = False
) -> tuple[torch.Tensor, ...]:
    """`network(*inputs)` of a network that treats each sample alone, in up to torch.get_num_threads() parts.

    Inputs and outputs have shape (N, ...). A sample's outputs and gradients have the same bits in every
    batch. The outputs of an `exact` network have anyway, so it is padded only where gradients are wanted.
    """
    samples = len(inputs[0])
    wanted = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    if (wanted or not exact) and 0 < samples < _LEAST_BATCH and all(len(x) == samples for x in inputs):
        filled = run_in_parts(network, tuple(map(_padded, inputs)), exact=exact)
        return tuple(y[:samples] for y in filled)
    threads = torch.get_num_threads()
    # Where torch's own threads share a gradient's sums out, they share them out by the batch.
    count = min(threads, samples // (_LEAST_BATCH if wanted else _LEAST_SAMPLES))
    whole = threads == 1 or count < (1 if wanted else 2)
    if whole or any(len(x) != samples or x.device.type != "cpu" for x in inputs):
        return network(*inputs)
    return tuple(_Parts.apply(network, count, *inputs))


def _padded(x: torch.Tensor) -> torch.Tensor:
    """The samples and as many more as make _LEAST_BATCH, which take no gradient."""
    return torch.cat([x, x[:1].detach().expand(_LEAST_BATCH - len(x), *x.shape[1:])])


class _Parts(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, network: Network, count: int, *inputs: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:  # type: ignore[override]
        wanted = context.needs_input_grad[2:]

        def part(*pieces: torch.Tensor) -> tuple[list[torch.Tensor], tuple[torch.Tensor, ...]]:
            with torch.set_grad_enabled(any(wanted)):
                leaves = [x.detach().requires_grad_(w) for x, w in zip(pieces, wanted, strict=True)]
                return leaves, network(*leaves)

        with lone_threads(count) as pool:
            context.parts = list(pool.map(part, *(x.tensor_split(count) for x in inputs)))
        outputs = zip(*(results for _, results in context.parts), strict=True)
        return tuple(torch.cat([y.detach() for y in pieces]) for pieces in outputs)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        count = len(context.parts)

        def part(
            made: tuple[list[torch.Tensor], tuple[torch.Tensor, ...]], *pieces: torch.Tensor
        ) -> list[torch.Tensor | None]:
            leaves, results = made
            moving = [(y, g) for y, g in zip(results, pieces, strict=True) if y.requires_grad]
            wanted = [x for x in leaves if x.requires_grad]
            if not moving:
                return [None if not x.requires_grad else torch.zeros_like(x) for x in leaves]
            ys, gs = zip(*moving, strict=True)
            slopes = iter(
                torch.autograd.grad(
                    ys, wanted, gs, retain_graph=True, allow_unused=True, materialize_grads=True
                )
            )
            return [next(slopes) if x.requires_grad else None for x in leaves]

        split = (g.tensor_split(count) for g in gradients)
        with lone_threads(count) as pool:
            pieces = list(zip(*pool.map(part, context.parts, *split), strict=True))
        return None, None, *(None if p[0] is None else torch.cat(p) for p in pieces)


@contextmanager
def lone_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads in each of which torch works alone; the caller's number of threads comes back.

    torch gives a thread its number at its first operation; that of the matrix products is shared.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield _pool(count)
    finally:
        torch.set_num_threads(before)


@functools.lru_cache(maxsize=4)
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "tinyguard", initializer=torch.set_num_threads, initargs=(1,))


os.register_at_fork(after_in_child=_pool.cache_clear)
