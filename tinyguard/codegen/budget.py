"""Slower kernels where the fast ones do not fit the flash."""

from collections.abc import Sequence

from tinyguard.errors import TinyguardError
from tinyguard.kernels import Cost, Kernel, options
from tinyguard.operators import Operator, Target


def within_budget(
    operators: Sequence[Operator], target: Target, kernels: Sequence[Kernel], budget_bytes: int
) -> list[Kernel]:
    """`kernels` with as many instructions given away as it takes to fit constants and code of layers.

    Greedy: always the exchange that costs fewest instructions a byte saved.
    """
    chosen = list(kernels)
    costs = [kernel.cost(operator, target) for operator, kernel in zip(operators, chosen, strict=True)]
    others = [[(kernel, kernel.cost(o, target)) for kernel in options(o, target)] for o in operators]
    while sum(map(_bytes, costs)) > budget_bytes:
        exchanges = [
            (_price(costs[layer], cost), layer, order)
            for layer, found in enumerate(others)
            for order, (_, cost) in enumerate(found)
            if _bytes(cost) < _bytes(costs[layer])
        ]
        if not exchanges:
            raise TinyguardError(
                f"the smallest kernels take {sum(map(_bytes, costs)):,} bytes of flash, the budget is "
                f"{budget_bytes:,}: raise --flash-budget"
            )
        _, layer, order = min(exchanges)
        chosen[layer], costs[layer] = others[layer][order]
    return chosen


def _bytes(cost: Cost) -> int:
    return cost.constant_bytes + cost.code_bytes


def _price(now: Cost, then: Cost) -> float:
    """Instructions for a byte."""
    return (then.instructions - now.instructions) / (_bytes(now) - _bytes(then))
