"""The firmware's runtime compiled for this machine, with a tiny network, behind a PTY."""

import os
import subprocess
import tty
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tinyguard.paths import data_folder

SOURCES = Path(__file__).parent.parent / "firmware_runtime"
STRICT = ["-std=c11", "-g", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
MODEL_SHA256 = "face" + bytes(range(1, 31)).hex()


def compile_runtime(
    binary: Path, sources: list[Path], *, main: bool = True, chunk_bytes: int = 256, x: int = 60
) -> Path:
    """The runtime with `sources` beside it; `x` is the size of the fake network's first input."""
    firmware = data_folder("firmware")
    runtime = [path for path in sorted((firmware / "runtime").glob("*.c")) if main or path.name != "main.c"]
    command = ["gcc", "-O1", *STRICT, *SANITIZE, f"-DTG_CHUNK_BYTES={chunk_bytes}", f"-DFAKE_X={x}"]
    command += [f"-I{firmware / 'include'}", f"-I{firmware / 'runtime'}", f"-I{SOURCES}", "-o", str(binary)]
    subprocess.run([*command, *map(str, runtime + sources)], check=True)
    return binary


def compile_host_board(binary: Path, *, chunk_bytes: int = 256, x: int = 60) -> Path:
    """A program that is a board: file descriptor 0 is its UART."""
    sources = [SOURCES / "port_posix.c", SOURCES / "fake_model.c"]
    return compile_runtime(binary, sources, chunk_bytes=chunk_bytes, x=x)


class HostBoard:
    """A running board; `port` is the PTY to talk to."""

    def __init__(self, binary: Path, environment: Mapping[str, str] | None = None) -> None:
        self._binary = binary
        self._environment = {**os.environ, **(environment or {})}
        self._board_end, self._host_end = os.openpty()
        tty.setraw(self._host_end)
        self.port = os.ttyname(self._host_end)
        self.start()

    def start(self) -> None:
        """Switch it on."""
        self._process = subprocess.Popen([self._binary], stdin=self._board_end, env=self._environment)

    def stop(self) -> None:
        """Switch it off; the port stays."""
        self._process.kill()
        self._process.wait()

    def pull(self) -> None:
        """Switch it off and take the port away, as when an emulator ends."""
        self.stop()
        os.close(self._board_end)
        os.close(self._host_end)
        self._board_end = self._host_end = -1

    def __enter__(self) -> "HostBoard":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for descriptor in (self._board_end, self._host_end):
            if descriptor >= 0:
                os.close(descriptor)


def fake_inputs(count: int, seed: int, x: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return (
        random.integers(-128, 128, (count, x // 4, 4), dtype=np.int8),
        random.integers(-128, 128, (count, 4), dtype=np.int8),
    )


def fake_layers(x0: np.ndarray, x1: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """What fake_model.c computes, (N, ...) arrays by layer and output."""
    flat = x0.reshape(len(x0), -1)
    a = (flat + np.tile(x1, (1, flat.shape[1] // 4))).astype(np.int8)
    b = 3 * a.astype(np.int16)
    return [(a,), (a, b), (b.sum(axis=1, dtype=np.int32), a[:, ::-1])]
