# SPDX-License-Identifier: Apache-2.0
"""Which kernel each layer gets."""

import functools
import importlib
import pkgutil
from collections.abc import Sequence

from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.kernels.portable import PORTABLE_KERNEL
from tinyguard.operators import Operator, Target

_SLOWER_FOR_SIZE = 2.0


@functools.cache
def _kernels(room: str) -> tuple[Kernel, ...]:
    """Every kernel of kernels/ROOM/*.py, one instance each, in the order of the files' names."""
    package = importlib.import_module(f"tinyguard.kernels.{room}")
    found: dict[type[Kernel], None] = {}
    for module in sorted(entry.name for entry in pkgutil.iter_modules(package.__path__)):
        loaded = importlib.import_module(f"{package.__name__}.{module}")
        for value in vars(loaded).values():
            if isinstance(value, type) and issubclass(value, Kernel) and "name" in vars(value):
                found[value] = None
    return tuple(kind() for kind in found)


def options(operator: Operator, target: Target) -> list[Kernel]:
    """Kernels that can print the operator for the target; the portable one is always the last."""
    rooms = []
    if target.kernels == "cmsis-nn":
        rooms.append("cmsis_nn")
    if target.isa != "portable":
        rooms.append(target.isa)
    found = []
    for room in rooms:
        able = [
            kernel
            for kernel in _kernels(room)
            if operator.node.operator in kernel.operators and kernel.supports(operator, target)
        ]
        if able and room == "cmsis_nn":
            return able[:1]  # a provider's kernel goes before ours
        found += able
    return [*found, PORTABLE_KERNEL]


def choose(operators: Sequence[Operator], target: Target) -> list[Kernel]:
    """One kernel an operator: fewest instructions for "speed" and "balanced"; for "size" fewest bytes among
    the kernels that take at most twice the fewest instructions."""
    return [_chosen(operator, target) for operator in operators]


def _chosen(operator: Operator, target: Target) -> Kernel:
    costs = [(kernel, kernel.cost(operator, target)) for kernel in options(operator, target)]
    if target.optimize != "size":
        return min(costs, key=lambda pair: (pair[1].instructions, _bytes(pair[1])))[0]
    most = _SLOWER_FOR_SIZE * min(cost.instructions for _, cost in costs)
    able = [(kernel, cost) for kernel, cost in costs if cost.instructions <= most]
    return min(able, key=lambda pair: (_bytes(pair[1]), pair[1].instructions))[0]


def _bytes(cost: Cost) -> int:
    return cost.constant_bytes + cost.code_bytes
