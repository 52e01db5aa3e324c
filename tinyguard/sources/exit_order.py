# SPDX-License-Identifier: Apache-2.0
"""How deep a float network's outputs lie: the multiplications that each needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from tinyguard.sources.one_output import outputs_of


class _Origins(TorchDispatchMode):
    """Remembers of every tensor which operations it depends on, and of every operation its cost."""

    def __init__(self) -> None:
        super().__init__()
        self.cost: list[int] = []
        self._behind: dict[int, frozenset[int]] = {}
        self._kept: list[torch.Tensor] = []  # so that no id is given twice

    def flops(self, tensor: torch.Tensor) -> int:
        """Of all operations behind the tensor."""
        return sum(self.cost[number] for number in self._behind.get(id(tensor), ()))

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        count = flop_registry.get(function.overloadpacket)
        number = len(self.cost)
        self.cost.append(count(*args, **(kwargs or {}), out_val=result) if count else 0)
        behind = frozenset((number,)).union(
            *(self._behind.get(id(tensor), ()) for tensor in _tensors((args, kwargs)))
        )
        for tensor in _tensors(result):
            self._behind[id(tensor)] = behind
            self._kept.append(tensor)
        return result


def by_depth(network: Callable[[torch.Tensor], Any], x: torch.Tensor) -> tuple[int, ...]:
    """The numbers of the outputs of `network(x)`, those that need the fewest operations first."""
    with torch.no_grad(), _Origins() as origins:
        outputs = outputs_of(network(x))
    return tuple(sorted(range(len(outputs)), key=lambda number: origins.flops(outputs[number])))


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor))
