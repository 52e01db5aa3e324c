# SPDX-License-Identifier: Apache-2.0
"""Runner `openocd`: program, verify, reset through a debug probe."""

from typing import Any

from tinyguard.boards import Board
from tinyguard.errors import TinyguardError
from tinyguard.flashing.tool import no_probe, run_tool
from tinyguard.toolchain.build import Image
from tinyguard.toolchain.compilers import find_tool

_NO_PROBE = (
    "open failed",
    "unable to open CMSIS-DAP",
    "unable to find a matching CMSIS-DAP",
    "no device found",
)
_NO_TARGET = (
    "init mode failed",
    "target voltage may be too low",
    "Error connecting DP",
    "Could not initialize",
)


def command(image: Image, board: Board, program: str = "openocd") -> list[str]:
    """OpenOCD's command line."""
    assert board.probe is not None
    configuration = [argument for name in board.probe.openocd for argument in ("-f", name)]
    script = f"program {{{image.bin.resolve()}}} 0x{board.flash_address:08x} verify reset exit"
    return [program, *configuration, "-c", script]


def run(image: Image, board: Board, progress: Any) -> dict[str, Any]:
    """Program the board; raises TinyguardError for no openocd, no probe, no chip, a failed verification."""
    find_tool("openocd", "openocd")
    done = run_tool(command(image, board), progress)
    if done.status == 0:
        return {}
    if any(sign in done.output for sign in _NO_PROBE):
        raise no_probe(board)
    if "Verify Failed" in done.output or "verification failed" in done.output.lower():
        raise TinyguardError(
            f"{board.name} holds other bytes than {image.bin} after programming; flash it again"
        )
    if any(sign in done.output for sign in _NO_TARGET):
        raise TinyguardError(
            f"the probe does not reach the chip of {board.name}: check its power, then try again"
        )
    raise TinyguardError(f"openocd failed on {board.name}: {done.last_error}")
