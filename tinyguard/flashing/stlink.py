# SPDX-License-Identifier: Apache-2.0
"""Runner `stlink`: st-flash of the open-source stlink tools."""

from typing import Any

from tinyguard.boards import Board
from tinyguard.errors import TinyguardError
from tinyguard.flashing.tool import no_probe, run_tool
from tinyguard.toolchain.build import Image
from tinyguard.toolchain.compilers import find_tool


def command(image: Image, board: Board, program: str = "st-flash") -> list[str]:
    """st-flash's command line; it reads back what it wrote by itself."""
    return [program, "--reset", "write", str(image.bin.resolve()), f"0x{board.flash_address:08x}"]


def run(image: Image, board: Board, progress: Any) -> dict[str, Any]:
    """Program the board; raises TinyguardError for no st-flash, no probe, any failure."""
    find_tool("st-flash", "stlink-tools")
    done = run_tool(command(image, board), progress)
    if done.status == 0:
        return {}
    if "Couldn't find any ST-Link" in done.output or "No ST-Link" in done.output:
        raise no_probe(board)
    raise TinyguardError(f"st-flash failed on {board.name}: {done.last_error}")
