# SPDX-License-Identifier: Apache-2.0
"""board.h: what C needs to know of a board, and the sizes it is held to."""

from tinyguard.boards.board import Board
from tinyguard.license import C_HEAD
from tinyguard.paths import data_folder
from tinyguard.version import VERSION

_PORT_FIXED_BYTES = 40
_LINK_ALIGNMENT = 16
_SYSTEM_VECTORS = 16
BUILD_ID_LENGTH = 16


def port_state_bytes(board: Board) -> int:
    """Size of `tg_port_state` (firmware/ports/cortex_m/state.h): its fixed part and the ring."""
    return _PORT_FIXED_BYTES + board.link.ring_bytes


def link_bytes(board: Board) -> int:
    """Exact size of section .tg_link of an image for this board: port and runtime state."""
    return _up(port_state_bytes(board) + _runtime_state_bytes(board), _LINK_ALIGNMENT)


def board_header(
    board: Board, runtime_state_bytes: int | None = None, build_id: str = VERSION, stages: bool = False
) -> str:
    """Text of board.h. `runtime_state_bytes` replaces the runtime's own figure, for another main loop.

    `build_id` is what the board tells of its build, 16 characters at most. `stages`: the network has exits,
    and the runtime is one that stops at them.
    """
    runtime = _runtime_state_bytes(board) if runtime_state_bytes is None else runtime_state_bytes
    interrupts = [board.uart.irq] + ([board.counter.irq] if board.counter else [])
    lines = [
        f'#define TG_BOARD_NAME "{board.name}"',
        f'#define TG_CORE_NAME "{board.core}"',
        f"#define TG_CLOCK_HZ {board.clock_hz}u",
        f"#define TG_UART_BASE 0x{board.uart.base:08x}u",
        f"#define TG_UART_IRQ {board.uart.irq}",
        f"#define TG_UART_CLOCK_HZ {board.uart.clock_hz}u",
        f"#define TG_BAUD {board.uart.baud}u",
        f"#define TG_VECTOR_COUNT {_SYSTEM_VECTORS + max(interrupts) + 1}",
    ]
    if board.counter:
        lines += [
            f"#define TG_COUNTER_BASE 0x{board.counter.base:08x}u",
            f"#define TG_COUNTER_IRQ {board.counter.irq}",
        ]
    if board.clocks:
        lines.append(f"#define TG_HSE_HZ {board.clocks.hse_hz}u")
    lines += [
        "",
        f"#define TG_RING_BYTES {board.link.ring_bytes}u",
        f"#define TG_CHUNK_BYTES {board.link.chunk_bytes}u",
        f"#define TG_PORT_STATE_BYTES {port_state_bytes(board)}u",
        f"#define TG_RUNTIME_STATE_BYTES {runtime}u",
        "",
        "#ifndef TG_BUILD_ID",
        f'#define TG_BUILD_ID "{build_id[:BUILD_ID_LENGTH]}"',
        "#endif",
    ]
    if stages:
        lines += ["", "#define TG_STAGES 1"]
    body = "\n".join(lines)
    return (
        f"{C_HEAD}/* {board.title}, generated from boards/{board.name}.toml. */\n"
        f"#ifndef TINYGUARD_BOARD_H\n#define TINYGUARD_BOARD_H\n\n{body}\n\n#endif\n"
    )


def port_sources(board: Board) -> list[str]:
    """C files of the board's port, relative to `firmware/`, sorted."""
    root = data_folder("firmware")
    sources = {path for folder in ("cortex_m", board.port) for path in (root / "ports" / folder).glob("*.c")}
    if board.counter:
        sources.discard(root / "ports/cortex_m/counter.c")
    return sorted(path.relative_to(root).as_posix() for path in sources)


def _runtime_state_bytes(board: Board) -> int:
    from tinyguard.device.layout import runtime_state_bytes

    return runtime_state_bytes(board.link.chunk_bytes)


def _up(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
