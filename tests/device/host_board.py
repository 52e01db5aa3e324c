# SPDX-License-Identifier: Apache-2.0
"""The firmware's runtime compiled for this machine, with a tiny network, behind a PTY."""

import os
import subprocess
import tty
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tinyguard.codegen.prepare import prepare
from tinyguard.codegen.project import model_files
from tinyguard.graph import Graph, Setting
from tinyguard.graph.multi_exit import stages_of
from tinyguard.paths import data_folder

SOURCES = Path(__file__).parent.parent / "firmware_runtime"
STRICT = ["-std=c11", "-g", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
_INT32 = (-(2**31), 2**31 - 1)

# Those of fake_model.c, a kind each, with the words that they take.
SETTINGS = (
    Setting("seed", "uint64", (5 | 6 << 32,), ((0, 2**64 - 1),), drawn=True),
    Setting("enabled", "bool", (1,), ((0, 1),)),
    Setting("level", "int32", (-3,), ((-5, 1000),)),
    Setting("budget", "uint64", (77,), ((10, 2**40),)),
    Setting("thresholds", "int32[]", (4, -50, 7), ((0, 10), (-100, -1), _INT32)),
    Setting("weights", "int32[]", tuple(range(12)), ((0, 255),) * 12),
)
MODEL_SHA256 = "face" + bytes(range(1, 31)).hex()


def compile_runtime(
    binary: Path,
    sources: list[Path],
    *,
    main: bool = True,
    chunk_bytes: int = 256,
    x: int = 60,
    variable: bool = False,
    stages: bool = False,
    includes: Sequence[Path] = (),
) -> Path:
    """The runtime with `sources` beside it; `x` is the size of the fake network's first input.

    `variable`: its second output is of variable length. `stages`: it may stop after a stage.
    """
    firmware = data_folder("firmware")
    left_out = {"no_settings.c"} if main else {"no_settings.c", "main.c"}
    runtime = [path for path in sorted((firmware / "runtime").glob("*.c")) if path.name not in left_out]
    command = ["gcc", "-O1", *STRICT, *SANITIZE, f"-DTG_CHUNK_BYTES={chunk_bytes}", f"-DFAKE_X={x}"]
    command += [*["-DFAKE_VARIABLE"] * variable, *["-DTG_STAGES=1"] * stages]
    command += [f"-I{folder}" for folder in includes]
    command += [f"-I{firmware / 'include'}", f"-I{firmware / 'runtime'}", f"-I{SOURCES}", "-o", str(binary)]
    subprocess.run([*command, *map(str, runtime + sources)], check=True)
    return binary


def compile_host_board(
    binary: Path, *, chunk_bytes: int = 256, x: int = 60, variable: bool = False, stages: bool = False
) -> Path:
    """A program that is a board: file descriptor 0 is its UART."""
    sources = [SOURCES / "port_posix.c", SOURCES / "fake_model.c"]
    return compile_runtime(binary, sources, chunk_bytes=chunk_bytes, x=x, variable=variable, stages=stages)


def compile_network_board(
    graph: Graph, folder: Path, port: Path = SOURCES / "port_posix.c", *, main: bool = True
) -> Path:
    """A board with the generated C of `graph` in place of the tiny network, built in `folder`."""
    texts = model_files([prepare(graph)])
    texts["fake_work.c"] = '#include <stdint.h>\n\n#include "fake_model.h"\n\nuint32_t fake_work;\n'
    for name, text in texts.items():
        (folder / name).write_text(text)
    return compile_runtime(
        folder / "board",
        [port, *(folder / name for name in texts if name.endswith(".c"))],
        main=main,
        stages=bool(stages_of(graph)),
        includes=[folder, data_folder("firmware") / "kernels"],
    )


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


def fake_layers(x0: np.ndarray, x1: np.ndarray, level: int | None = None) -> list[tuple[np.ndarray, ...]]:
    """What fake_model.c computes, (N, ...) arrays by layer and output; with stages its `level` matters."""
    flat = x0.reshape(len(x0), -1)
    a = (flat + np.tile(x1, (1, flat.shape[1] // 4))).astype(np.int8)
    b = 3 * a.astype(np.int16)
    total, backwards = b.sum(axis=1, dtype=np.int32), a[:, ::-1]
    if level is not None:
        early = a[:, 0] >= level
        total, backwards = np.where(early, a[:, 0], total), np.where(early[:, None], 0, backwards)
    return [(a,), (a, b), (total, backwards)]
