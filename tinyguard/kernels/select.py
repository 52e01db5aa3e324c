"""Which kernel each layer gets."""

import functools
import importlib
import pkgutil
from collections.abc import Sequence

from tinyguard.kernels.base import Kernel
from tinyguard.kernels.portable import PORTABLE_KERNEL
from tinyguard.operators import Operator, Target


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
    """One kernel an operator: fewest instructions for "speed" and "balanced", fewest bytes for "size"."""

    def rank(operator: Operator, kernel: Kernel) -> tuple[float, float]:
        cost = kernel.cost(operator, target)
        size = cost.constant_bytes + cost.code_bytes
        return (size, cost.instructions) if target.optimize == "size" else (cost.instructions, size)

    return [min(options(o, target), key=lambda kernel: rank(o, kernel)) for o in operators]
