# SPDX-License-Identifier: Apache-2.0
"""Generated C of several models in one program that runs samples from a file.

The way of the tests and of the `compiled` back end into generated code: on the host under the
sanitizers, and on an emulated core through semihosting.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinyguard.boards import Board, board_header, linker_script, port_sources
from tinyguard.codegen.prepare import prepare, target_of
from tinyguard.codegen.project import (
    firmware_files,
    kernel_files,
    makefile_for,
    model_files,
    write_project,
)
from tinyguard.codegen.source import ModelSource
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.lengths import clear_unused
from tinyguard.license import C_HEAD, MAKE_HEAD
from tinyguard.operators import PORTABLE, Target
from tinyguard.toolchain import build, host_compiler
from tinyguard.toolchain.build import first_error
from tinyguard.toolchain.compilers import find_tool

SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion")
_TIMEOUT_S = 300


class Batch:
    """Models compiled into one executable in `directory`, for the host or for an emulated `board`."""

    def __init__(
        self,
        graphs: Sequence[Graph],
        directory: Path,
        board: Board | None = None,
        sanitize: bool = False,
        optimize: str = "-O1",
        target: Target | None = None,
        cmsis_nn: Path | None = None,
    ) -> None:
        """`target` is the board's, or portable C for the host, unless given; `cmsis_nn` as in Options."""
        self.graphs = list(graphs)
        self.directory = Path(directory)
        self.board = board
        self.target = target or (target_of(board) if board else PORTABLE)
        self._cmsis_nn = cmsis_nn
        self._write()
        self._compile(sanitize, optimize)

    def run(self, model: int, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Outputs of model number `model` on inputs of shape (N, *tensor.shape)."""
        return self.run_all([(model, inputs)])[0]

    def run_all(self, requests: Sequence[tuple[int, Sequence[np.ndarray]]]) -> list[tuple[np.ndarray, ...]]:
        """All requests in one run of the program."""
        with open(self.directory / "input.bin", "wb") as stream:
            for model, inputs in requests:
                stream.write(np.array([model, len(inputs[0])], "<u4").tobytes())
                tensors = [self.graphs[model].tensors[i] for i in self.graphs[model].inputs]
                rows = [
                    np.ascontiguousarray(x, t.dtype).reshape(len(x), -1).view(np.uint8)
                    for x, t in zip(inputs, tensors, strict=True)
                ]
                stream.write(np.concatenate(rows, axis=1).tobytes())
        self._execute()
        answer = np.fromfile(self.directory / "output.bin", np.uint8)
        results, position = [], 0
        for model, inputs in requests:
            tensors = [self.graphs[model].tensors[i] for i in self.graphs[model].outputs]
            sizes = [tensor.size_bytes for tensor in tensors]
            samples = len(inputs[0])
            block = answer[position : position + samples * sum(sizes)].reshape(samples, sum(sizes))
            position += block.size
            parts = np.split(block, np.cumsum(sizes)[:-1], axis=1)
            outputs = [
                np.ascontiguousarray(part).view(t.dtype).reshape(samples, *t.shape)
                for part, t in zip(parts, tensors, strict=True)
            ]
            results.append(clear_unused(self.graphs[model], outputs))
        return results

    def _write(self) -> None:
        models = [prepare(graph, self.target, f"m{i}") for i, graph in enumerate(self.graphs)]
        texts = {**model_files(models), "batch.c": _table(models)}
        copied = [*kernel_files(models), *firmware_files(["include/tinyguard", "batch"])]
        if self.board:
            ports = port_sources(self.board)
            copied += firmware_files(sorted({str(Path(s).parent) for s in ports}))
            sources = [
                "model.c",
                "weights.c",
                "batch.c",
                "batch/main.c",
                "batch/stream_semihosting.c",
                *ports,
            ]
            texts["board.h"] = board_header(self.board)
            texts["board.ld"] = linker_script(self.board)
            includes = (".", "include", "kernels", "ports/cortex_m")
            texts["Makefile"] = makefile_for(models, self.board, sources, includes, self._cmsis_nn)
        else:
            texts["Makefile"] = MAKE_HEAD + "# compiled for the host by tinyguard.codegen.batch\n"
        write_project(self.directory, texts, copied)

    def _compile(self, sanitize: bool, optimize: str) -> None:
        if self.board:
            self._image = build(self.directory, self.board)
            return
        sources = ["model.c", "weights.c", "batch.c", "batch/main.c", "batch/stream_stdio.c"]
        flags = [optimize, "-std=c11", "-ffp-contract=off", *WARNINGS, *(SANITIZE if sanitize else ())]
        includes = ["-I.", "-Iinclude", "-Ikernels"]
        command = [host_compiler(), *flags, *includes, *sources, "-o", "batch_program"]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TinyguardError(f"the generated C does not compile: {first_error(done.stderr)}")

    def _execute(self) -> None:
        if self.board:
            assert self.board.emulator is not None
            command = [
                find_tool("qemu-system-arm", "qemu-system-arm"),
                *("-machine", self.board.emulator.machine, "-nographic", "-monitor", "none"),
                *("-serial", "none", "-semihosting-config", "enable=on,target=native"),
                *("-kernel", str(self._image.elf.resolve())),
            ]
        else:
            command = [str((self.directory / "batch_program").resolve())]
        done = subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode:
            reason = first_error(done.stderr) if done.stderr.strip() else "no message"
            raise TinyguardError(f"the generated C failed with status {done.returncode}: {reason}")


def _table(models: Sequence[ModelSource]) -> str:
    declarations = "\n".join(f"extern const tg_model {m.prefix}_the_model;" for m in models)
    entries = "\n".join(f"    &{m.prefix}_the_model," for m in models)
    return f"""{C_HEAD}#include "tinyguard/batch.h"

{declarations}

const tg_model *const tg_batch_models[] = {{
{entries}
}};
const uint32_t tg_batch_count = {len(models)};
"""
