# SPDX-License-Identifier: Apache-2.0
"""Slower kernels where the fast ones do not fit the flash."""

from collections.abc import Callable, Sequence

from tinyguard.codegen.source import ModelSource
from tinyguard.errors import TinyguardError
from tinyguard.kernels import Cost, Kernel, options
from tinyguard.operators import Operator, Target


def within_budget(
    operators: Sequence[Operator],
    target: Target,
    kernels: Sequence[Kernel],
    budget_bytes: int,
    printed: Callable[[Sequence[Kernel]], ModelSource],
) -> ModelSource:
    """The network with as few instructions given away as it takes to fit constants and code of layers.

    Constants are counted as `printed` with the kernels, code as these estimate it. Greedy: always the
    exchange that costs fewest instructions per byte saved. Raises TinyguardError when even the smallest
    kernels take more.
    """
    chosen = list(kernels)
    costs = [kernel.cost(operator, target) for operator, kernel in zip(operators, chosen, strict=True)]
    others = [[(kernel, kernel.cost(o, target)) for kernel in options(o, target)] for o in operators]
    while True:
        source = printed(chosen)
        taken = source.constant_bytes + sum(cost.code_bytes for cost in costs)
        if taken <= budget_bytes:
            return source
        if not _exchange(costs, others, chosen, taken - budget_bytes):
            raise TinyguardError(
                f"the smallest kernels take {taken:,} bytes of flash, the budget is {budget_bytes:,}: "
                "raise --flash-budget"
            )


def _exchange(
    costs: list[Cost], others: list[list[tuple[Kernel, Cost]]], chosen: list[Kernel], excess: int
) -> bool:
    """Exchange kernels until by their own estimate `excess` bytes are saved; False when none is left."""
    changed = False
    while excess > 0:
        exchanges = [
            (_price(costs[layer], cost), layer, order)
            for layer, found in enumerate(others)
            for order, (_, cost) in enumerate(found)
            if _bytes(cost) < _bytes(costs[layer])
        ]
        if not exchanges:
            return changed
        _, layer, order = min(exchanges)
        excess -= _bytes(costs[layer]) - _bytes(others[layer][order][1])
        chosen[layer], costs[layer] = others[layer][order]
        changed = True
    return changed


def _bytes(cost: Cost) -> int:
    return cost.constant_bytes + cost.code_bytes


def _price(now: Cost, then: Cost) -> float:
    """Instructions for a byte."""
    return (then.instructions - now.instructions) / (_bytes(now) - _bytes(then))
