"""The one way from a network to its printed layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyguard.codegen.memory import plan
from tinyguard.codegen.source import ModelSource, emit_model
from tinyguard.graph import Graph
from tinyguard.kernels import choose
from tinyguard.operators import PORTABLE, Target, resolve
from tinyguard.toolchain import isa

if TYPE_CHECKING:
    from tinyguard.boards import Board


def target_of(board: Board, optimize: str = "balanced", kernels: str = "builtin") -> Target:
    """What layers are printed for on a board."""
    return Target(isa(board.core), optimize, kernels)


def prepare(graph: Graph, target: Target = PORTABLE, prefix: str = "tg") -> ModelSource:
    """Resolve the layers, choose a kernel for each, plan the arena and print them.

    Raises TinyguardError on unsupported operators.
    """
    operators = resolve(graph)
    kernels = choose(operators, target)
    layout = plan(graph, operators, target, kernels)
    return emit_model(graph, operators, layout, target, prefix, kernels)
