# SPDX-License-Identifier: Apache-2.0
"""Runner `emulator`: QEMU in the background with the image, its UART on a pseudo-terminal."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tinyguard.boards import Board
from tinyguard.errors import TinyguardError
from tinyguard.flashing.processes import start_time
from tinyguard.flashing.running import Running, record
from tinyguard.toolchain.build import Image
from tinyguard.toolchain.compilers import find_tool

_PTY = re.compile(r"char device redirected to (\S+)")
_START_S = 20.0


def command(image: Image, board: Board, program: str = "qemu-system-arm") -> list[str]:
    """QEMU's command line; it returns once the machine has started, in a session of its own."""
    assert board.emulator is not None
    return [
        program,
        *("-machine", board.emulator.machine),
        *board.emulator.arguments,
        *("-display", "none", "-monitor", "none", "-serial", "pty", "-daemonize"),
        *("-kernel", str(image.elf.resolve())),
    ]


def run(image: Image, board: Board, progress: Any) -> dict[str, Any]:
    """Start QEMU and record it. Returns `port` and `pid`; raises TinyguardError when it does not start."""
    program = find_tool("qemu-system-arm", "qemu-system-arm")
    with tempfile.TemporaryDirectory(prefix="tinyguard-") as folder:
        pid_file = Path(folder) / "pid"
        said = _start([*command(image, board, program), "-pidfile", str(pid_file)], board)
        pid = int(pid_file.read_text())
    match = _PTY.search(said)
    started = start_time(pid)
    if match is None or started is None:
        raise TinyguardError(f"qemu gave no serial port for {board.name}: {_last_line(said)}")
    port = match.group(1)
    record(
        Running(
            board=board.name,
            port=port,
            pid=pid,
            started=started,
            image=str(image.elf.resolve()),
            flash_bytes=image.flash_bytes,
            ram_bytes=image.ram_bytes,
            sha256=image.sha256,
        )
    )
    progress(f"{board.name} runs in QEMU (pid {pid}) at {port}")
    return {"port": port, "pid": pid}


def _start(line: list[str], board: Board) -> str:
    try:
        done = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_START_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TinyguardError(f"qemu did not start {board.name} within {_START_S:.0f} s; try again") from None
    if done.returncode:
        raise TinyguardError(f"qemu does not start {board.name}: {_last_line(done.stdout)}")
    return done.stdout


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
