# SPDX-License-Identifier: Apache-2.0
"""Runner `pyocd`: CMSIS-DAP and ST-LINK probes through pyOCD."""

import shutil
from typing import Any

from tinyguard.boards import Board
from tinyguard.errors import TinyguardError
from tinyguard.flashing.tool import no_probe, run_tool
from tinyguard.toolchain.build import Image


def command(image: Image, board: Board, program: str = "pyocd") -> list[str]:
    """pyOCD's command line; `load` programs, verifies pages it kept, and resets."""
    assert board.probe is not None
    assert board.probe.pyocd is not None
    address = f"0x{board.flash_address:08x}"
    return [
        program,
        "load",
        "--target",
        board.probe.pyocd,
        "--base-address",
        address,
        str(image.bin.resolve()),
    ]


def run(image: Image, board: Board, progress: Any) -> dict[str, Any]:
    """Program the board; raises TinyguardError for no pyocd, no probe, any failure."""
    if shutil.which("pyocd") is None:
        raise TinyguardError("pyocd is not installed; type: pip install pyocd")
    done = run_tool(command(image, board), progress)
    if "No available debug probes" in done.output or "No connected debug probes" in done.output:
        raise no_probe(board)
    if done.status:
        raise TinyguardError(f"pyocd failed on {board.name}: {done.last_error}")
    return {}
