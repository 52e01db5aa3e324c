"""Runner `emulator`: QEMU in the background with the image, its UART on a pseudo-terminal."""

import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tinyguard.boards import Board
from tinyguard.errors import TinyguardError
from tinyguard.flashing.processes import end, start_time
from tinyguard.flashing.running import Running, record
from tinyguard.toolchain.build import Image
from tinyguard.toolchain.compilers import find_tool

_PTY = re.compile(r"char device redirected to (\S+)")
_START_S = 10.0


def command(image: Image, board: Board, program: str = "qemu-system-arm") -> list[str]:
    """QEMU's command line."""
    assert board.emulator is not None
    return [
        program,
        *("-machine", board.emulator.machine),
        *board.emulator.arguments,
        *("-display", "none", "-monitor", "none", "-serial", "pty"),
        *("-kernel", str(image.elf)),
    ]


def run(image: Image, board: Board, progress: Any) -> dict[str, Any]:
    """Start QEMU in a session of its own, wait for its pseudo-terminal, record it. Returns `port`, `pid`."""
    program = find_tool("qemu-system-arm", "qemu-system-arm")
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command(image, board, program),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=Path("/"),
        )
        started = start_time(process.pid)
        try:
            port = _wait_for_pty(process, output, board)
        except BaseException:
            if started is not None:
                end(process.pid, started)
            raise
    assert started is not None
    record(
        Running(
            board=board.name,
            port=port,
            pid=process.pid,
            started=started,
            image=str(image.elf),
            flash_bytes=image.flash_bytes,
            ram_bytes=image.ram_bytes,
            sha256=image.sha256,
        )
    )
    progress(f"{board.name} runs in QEMU (pid {process.pid}) at {port}; to end it: tinyguard stop {port}")
    process.returncode = 0  # it outlives us on purpose: no warning when the Popen object goes
    return {"port": port, "pid": process.pid}


def _wait_for_pty(process: "subprocess.Popen[bytes]", output: Any, board: Board) -> str:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        output.seek(0)
        said = output.read()
        match = _PTY.search(said)
        if match and not ended:
            return match.group(1)
        if ended:
            last = said.strip().splitlines()[-1:] or ["it said nothing"]
            raise TinyguardError(f"qemu ended while starting {board.name}: {last[0]}")
        time.sleep(0.01)
    raise TinyguardError(f"qemu gave no serial port for {board.name} within {_START_S:.0f} s; try again")
