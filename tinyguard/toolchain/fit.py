# SPDX-License-Identifier: Apache-2.0
"""Does it fit: bytes needed against bytes there."""

import re

from tinyguard.boards import Board, link_bytes
from tinyguard.errors import TinyguardError

_OVERFLOW = re.compile(r"region `([^']+)' overflowed by (\d+) bytes")


def check_fit(board: Board, constant_bytes: int, ram_bytes: int, code_bytes: int = 0) -> None:
    """Raise TinyguardError when an image cannot fit.

    `constant_bytes`: section .tg_constants. `ram_bytes`: arena, link state and stack together. `code_bytes`:
    vectors and code where known; before a link it is not, and the linker has the last word.
    """
    link = link_bytes(board)
    needs = {
        "code": code_bytes,
        "constants": constant_bytes,
        "stack": board.stack_bytes,
        "link": link,
        "arena": ram_bytes - board.stack_bytes - link,
    }
    shortages = []
    for memory in board.memory:
        needed = sum(size for part, size in needs.items() if board.placement[part] == memory.name)
        if needed > memory.size:
            shortages.append((memory.name, needed, memory.size))
    if shortages:
        raise TinyguardError(_refusal(board, shortages))


def overflow(board: Board, linker_output: str) -> TinyguardError | None:
    """The refusal that GNU ld's complaints amount to, or None when it has none about size."""
    sizes = {memory.name: memory.size for memory in board.memory}
    shortages = [
        (name, sizes[name] + int(excess), sizes[name])
        for name, excess in _OVERFLOW.findall(linker_output)
        if name in sizes
    ]
    return TinyguardError(_refusal(board, shortages)) if shortages else None


def _refusal(board: Board, shortages: list[tuple[str, int, int]]) -> str:
    each = "; ".join(f"{name} needs {needed:,} bytes, {there:,} there" for name, needed, there in shortages)
    return f"does not fit {board.name}: {each}; take a smaller network or a larger board (`tinyguard boards`)"
