# SPDX-License-Identifier: Apache-2.0
"""Small generated projects around a hand-written main, and what one says over its serial port."""

import shutil
import struct
import time
from pathlib import Path
from types import TracebackType

import serial

from tinyguard.boards import Board, board_header, linker_script, port_sources
from tinyguard.flashing import flash, stop
from tinyguard.paths import data_folder
from tinyguard.toolchain import Image, build, makefile

HERE = Path(__file__).parent
_ECHO_STATE_BYTES = 64


def write_project(
    board: Board,
    directory: Path,
    mains: list[Path],
    runtime_state_bytes: int | None = None,
    runtime: bool = False,
) -> None:
    """A project of `mains` (C files), the board's port and, where asked for, the runtime."""
    firmware = data_folder("firmware")
    for folder in ("include", "ports", "runtime"):
        shutil.copytree(firmware / folder, directory / folder, dirs_exist_ok=True)
    for main in mains:
        shutil.copy(main, directory / main.name)
    names = {path.name for path in (firmware / "runtime").glob("*.c")} - {"settings.c"}
    loop = sorted(f"runtime/{name}" for name in names)
    sources = [*(main.name for main in mains), *(loop if runtime else []), *port_sources(board)]
    (directory / "board.h").write_text(board_header(board, runtime_state_bytes))
    (directory / "board.ld").write_text(linker_script(board))
    includes = (".", "include", "runtime", "ports/cortex_m")
    (directory / "Makefile").write_text(makefile(board, sources, includes=includes))


def echo_image(board: Board, directory: Path) -> Image:
    """echo.c for `board`, built."""
    write_project(board, directory, [HERE / "echo.c"], _ECHO_STATE_BYTES)
    return build(directory, board)


class Session:
    """An emulated board with an image, and its open serial port."""

    def __init__(self, image: Image, board: Board) -> None:
        result = flash(image, board, runner="emulator")
        self.ring_bytes = board.link.ring_bytes
        self.port, self.pid = result["port"], result["pid"]
        self.serial = serial.Serial(self.port, timeout=10)

    def __enter__(self) -> "Session":
        # QEMU polls for somebody at the other end, and what it sends before it notices is lost.
        deadline = time.monotonic() + 10
        self.serial.timeout = 0.5
        while time.monotonic() < deadline and not self.words(1, 5):
            self.serial.reset_input_buffer()
        self.serial.timeout = 0.3
        self.serial.read(1000)
        self.serial.timeout = 10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.serial.close()
        stop(self.port)

    def words(self, command: int, count: int) -> tuple[int, ...]:
        """Ask for `count` 64-bit words; fewer than asked for: empty."""
        self.serial.write(bytes([0xAA, command]))
        answer = self.serial.read(8 * count)
        return struct.unpack(f"<{count}Q", answer) if len(answer) == 8 * count else ()

    def echo(self, data: bytes) -> bytes:
        """What comes back of `data`, of which never more is under way than the receive ring holds: a loaded
        machine may run the board's interrupts and not its main loop for a while."""
        waiting = b"\x55" + struct.pack("<H", len(data)) + data
        sent, found = 0, b""
        while len(found) < len(data):
            room = self.ring_bytes - (sent - len(found))
            sent += self.serial.write(waiting[sent : sent + room]) or 0
            some = self.serial.read(max(1, self.serial.in_waiting))
            if not some:
                break
            found += some
        return found
