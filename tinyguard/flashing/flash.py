# SPDX-License-Identifier: Apache-2.0
"""The one entry: choose the runner, run it, say what was done."""

import shlex
from collections.abc import Callable
from typing import Any, Protocol

from tinyguard.boards import Board
from tinyguard.errors import TinyguardError
from tinyguard.flashing import cubeprogrammer, emulator, openocd, pyocd, stlink
from tinyguard.toolchain.build import Image

Progress = Callable[[str], None]


class _Runner(Protocol):
    def command(self, image: Image, board: Board) -> list[str]: ...

    def run(self, image: Image, board: Board, progress: Progress) -> dict[str, Any]: ...


_RUNNERS: dict[str, _Runner] = {
    "emulator": emulator,
    "openocd": openocd,
    "stlink": stlink,
    "cubeprogrammer": cubeprogrammer,
    "pyocd": pyocd,
}


def flash(
    image: Image,
    board: Board,
    *,
    runner: str | None = None,
    port: str | None = None,
    dry_run: bool = False,
    progress: Progress = lambda line: None,
) -> dict[str, Any]:
    """Put `image` on `board` with `runner` (default: the board's first), verify, reset.

    Returns `board, runner, port, image, flash_bytes, ram_bytes, sha256`, and `pid` for an emulator. `port` is
    the serial port the board answers on: given, found by USB ids, or None. With `dry_run` nothing is done and
    the result has `command` (a line for a shell) and `address` besides. `progress` gets lines to show.

    Raises TinyguardError: a runner the board does not have, a missing tool, no probe, a failed verification.
    """
    name = check_runner(board, runner)
    chosen = _RUNNERS[name]
    result: dict[str, Any] = {
        "board": board.name,
        "runner": name,
        "port": port,
        "image": str((image.elf if name == "emulator" else image.bin).resolve()),
        "flash_bytes": image.flash_bytes,
        "ram_bytes": image.ram_bytes,
        "sha256": image.sha256,
    }
    if dry_run:
        return result | {"command": shlex.join(chosen.command(image, board)), "address": board.flash_address}
    result |= chosen.run(image, board, progress)
    if result["port"] is None:
        result["port"] = _usb_port(board)
    return result


def check_runner(board: Board, runner: str | None) -> str:
    """`runner`, or the board's first when None; raises TinyguardError when the board has no such runner."""
    if runner is None:
        if not board.runners:
            raise TinyguardError(f"board {board.name} names no way to flash it; add [probe] to its .toml")
        return board.runners[0]
    if runner not in board.runners:
        raise TinyguardError(
            f"board {board.name} has no runner {runner!r}; take one of: {', '.join(board.runners) or 'none'}"
        )
    return runner


def _usb_port(board: Board) -> str | None:
    from serial.tools import list_ports

    ids = board.probe.usb if board.probe else ()
    devices = [entry.device for entry in list_ports.comports() if (entry.vid, entry.pid) in ids]
    return devices[0] if len(devices) == 1 else None
