# SPDX-License-Identifier: Apache-2.0
"""What an image will take, without compiling anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from tinyguard.codegen.options import Options
from tinyguard.codegen.prepare import prepare_for
from tinyguard.codegen.source import ModelSource
from tinyguard.graph import Graph

if TYPE_CHECKING:
    from tinyguard.boards import Board


@dataclass(frozen=True)
class Prediction:
    """Sizes in bytes, equal to the linked image's sections.

    `constant_bytes`: section .tg_constants. `arena_bytes`: .tg_arena, which holds inputs, outputs,
    activations and scratch. `link_bytes`: .tg_link, receive ring and frame buffers. `stack_bytes`: what
    the board reserves. The last two are 0 without a board.
    """

    constant_bytes: int
    arena_bytes: int
    link_bytes: int
    stack_bytes: int

    @property
    def ram_bytes(self) -> int:
        return self.arena_bytes + self.link_bytes + self.stack_bytes


def predict(graph: Graph, board: Board | None = None, **options: Unpack[Options]) -> Prediction:
    """Plan and print the model and add up. Raises TinyguardError on unsupported operators."""
    return predicted(prepare_for(graph, board, **options), board)


def predicted(source: ModelSource, board: Board | None = None) -> Prediction:
    """The same of a model that is printed already."""
    from tinyguard.boards import link_bytes

    return Prediction(
        constant_bytes=source.constant_bytes,
        arena_bytes=source.plan.arena_bytes,
        link_bytes=link_bytes(board) if board else 0,
        stack_bytes=board.stack_bytes if board else 0,
    )
