# SPDX-License-Identifier: Apache-2.0
"""Runner `cubeprogrammer`: ST's STM32_Programmer_CLI."""

import shutil
from typing import Any

from tinyguard.boards import Board
from tinyguard.errors import TinyguardError
from tinyguard.flashing.tool import no_probe, run_tool
from tinyguard.toolchain.build import Image


def command(image: Image, board: Board, program: str = "STM32_Programmer_CLI") -> list[str]:
    """STM32_Programmer_CLI's command line: write, verify (-v), reset (-rst)."""
    address = f"0x{board.flash_address:08x}"
    return [program, "-c", "port=SWD", "-w", str(image.bin.resolve()), address, "-v", "-rst"]


def run(image: Image, board: Board, progress: Any) -> dict[str, Any]:
    """Program the board; raises TinyguardError for no programmer, no probe, any failure."""
    if shutil.which("STM32_Programmer_CLI") is None:
        raise TinyguardError(
            "STM32_Programmer_CLI is not on PATH; install STM32CubeProgrammer from st.com and add its bin"
        )
    done = run_tool(command(image, board), progress)
    if "No STM32 target found" in done.output or "No debug probe detected" in done.output:
        raise no_probe(board)
    if done.status:
        raise TinyguardError(f"STM32_Programmer_CLI failed on {board.name}: {done.last_error}")
    return {}
