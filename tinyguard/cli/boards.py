# SPDX-License-Identifier: Apache-2.0
"""`tinyguard boards`: the boards that are known, one of them in full, or the emulated ones that run."""

from dataclasses import asdict

import click
from rich.table import Table

from tinyguard import boards
from tinyguard.boards import Board
from tinyguard.cli._options import console, json_option, print_json
from tinyguard.flashing import running


@click.command(help=__doc__)
@click.argument("name", required=False)
@click.option("--running", "only_running", is_flag=True, help="List the emulated boards that run now.")
@json_option
def command(name: str | None, only_running: bool, as_json: bool) -> None:
    if name and only_running:
        raise click.UsageError("give a NAME or --running, not both")
    if only_running:
        _show_running(as_json)
    elif name:
        _show_one(boards.load(name), as_json)
    else:
        _show_all([boards.load(each) for each in boards.names()], as_json)


def _show_all(known: list[Board], as_json: bool) -> None:
    if as_json:
        print_json([_describe(board) for board in known])
        return
    table = Table("board", "core", "clock", "flash", "RAM", "flash with", "", box=None, pad_edge=False)
    for board in known:
        table.add_row(
            board.name,
            board.core.removeprefix("cortex-").upper(),
            f"{board.clock_hz // 1_000_000} MHz",
            _kib(_total(board, "rom")),
            _kib(_total(board, "ram")),
            board.runners[0] if board.runners else "",
            board.title,
        )
    console.print(table)


def _show_one(board: Board, as_json: bool) -> None:
    if as_json:
        print_json(_describe(board))
        return
    console.print(f"{board.name}: {board.title}, {board.core} at {board.clock_hz // 1_000_000} MHz")
    table = Table("memory", "base", "size", "holds", box=None, pad_edge=False)
    for memory in board.memory:
        parts = [part for part, name in board.placement.items() if name == memory.name]
        table.add_row(memory.name, f"0x{memory.base:08x}", _kib(memory.size), ", ".join(parts))
    console.print(table)
    console.print(
        f"stack {board.stack_bytes:,} B, receive ring and frame buffers {boards.link_bytes(board):,} B"
    )
    console.print(f"serial at {board.uart.baud:,} baud")
    console.print(f"runners: {', '.join(board.runners)}")


def _show_running(as_json: bool) -> None:
    emulators = running()
    if as_json:
        print_json([asdict(emulator) for emulator in emulators])
        return
    if not emulators:
        console.print(
            "no emulated board runs; `tinyguard flash MODEL --board mps2-an500` starts one", soft_wrap=True
        )
        return
    table = Table("port", "board", "pid", "flash B", "RAM B", "image", box=None, pad_edge=False)
    for emulator in emulators:
        table.add_row(
            emulator.port,
            emulator.board,
            str(emulator.pid),
            f"{emulator.flash_bytes:,}",
            f"{emulator.ram_bytes:,}",
            emulator.image,
        )
    console.print(table)


def _describe(board: Board) -> dict[str, object]:
    return asdict(board) | {"runners": list(board.runners), "link_bytes": boards.link_bytes(board)}


def _total(board: Board, kind: str) -> int:
    return sum(memory.size for memory in board.memory if memory.kind == kind)


def _kib(size: int) -> str:
    return f"{size // 1024:,} KiB"
