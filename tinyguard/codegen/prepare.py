# SPDX-License-Identifier: Apache-2.0
"""The one way from a network to its printed layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from tinyguard import passes
from tinyguard.codegen.flash_limit import within_budget
from tinyguard.codegen.memory import plan
from tinyguard.codegen.options import Options
from tinyguard.codegen.source import ModelSource, emit_model
from tinyguard.graph import Graph
from tinyguard.kernels import Kernel, choose
from tinyguard.operators import PORTABLE, Target, resolve
from tinyguard.toolchain import isa

if TYPE_CHECKING:
    from tinyguard.boards import Board


def target_of(board: Board, optimize: str = "balanced", kernels: str = "builtin") -> Target:
    """What layers are printed for on a board."""
    return Target(isa(board.core), optimize, kernels)


def prepare(
    graph: Graph,
    target: Target = PORTABLE,
    prefix: str = "tg",
    flash_budget: int | None = None,
    arena: str = "tg_arena",
) -> ModelSource:
    """Resolve the layers, choose a kernel for each, plan the arena and print them.

    Raises TinyguardError on unsupported operators and when the flash budget (bytes) is too small.
    """
    operators = resolve(graph)

    def printed(kernels: Sequence[Kernel]) -> ModelSource:
        layout = plan(graph, operators, target, kernels)
        return emit_model(graph, operators, layout, target, prefix, kernels, arena)

    kernels = choose(operators, target)
    if flash_budget is None:
        return printed(kernels)
    return within_budget(operators, target, kernels, flash_budget, printed)


def prepare_for(graph: Graph, board: Board | None = None, **options: Unpack[Options]) -> ModelSource:
    """The same for a board, or for portable C without one, after the passes unless they are off."""
    if options.get("passes", True):
        graph = passes.optimize(graph)
    optimize, kernels = options.get("optimize", "balanced"), options.get("kernels", "builtin")
    target = target_of(board, optimize, kernels) if board else Target("portable", optimize, kernels)
    return prepare(graph, target, flash_budget=options.get("flash_budget"))
