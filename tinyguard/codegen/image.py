# SPDX-License-Identifier: Apache-2.0
"""From a graph to a linked image, refused early when it cannot fit."""

from pathlib import Path
from typing import Unpack

from tinyguard.boards import Board
from tinyguard.codegen.options import Options, label
from tinyguard.codegen.predict import predicted
from tinyguard.codegen.prepare import prepare_for
from tinyguard.codegen.project import write_firmware
from tinyguard.codegen.source import ModelSource
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.toolchain import Image, build, check_fit
from tinyguard.toolchain.build import read_image


def build_image(graph: Graph, board: Board, directory: Path, **options: Unpack[Options]) -> Image:
    """Check that `graph` fits `board`, write its project into `directory` and build it.

    Raises TinyguardError: unsupported operators, no room (bytes needed and there), a missing compiler,
    and with kernels "cmsis-nn" a missing or mismatched library.
    """
    source = prepare_for(graph, board, **options)
    return build_prepared(source, board, directory, options.get("cmsis_nn"))


def build_prepared(source: ModelSource, board: Board, directory: Path, cmsis_nn: Path | None = None) -> Image:
    """The same for a network that is printed already for `board`."""
    sizes = predicted(source, board)
    check_fit(board, sizes.constant_bytes, sizes.ram_bytes)
    write_firmware(source, board, directory, cmsis_nn)
    return build(directory, board)


def built_image(graph: Graph, board: Board, build_id: str) -> Image | None:
    """The image in one of the default folders that was built with this id (HELLO's), None without one."""
    for folder in sorted(
        default_directory(graph, board).parent.glob(f"{default_directory(graph, board).name}*")
    ):
        header = folder / "board.h"
        if header.is_file() and f'#define TG_BUILD_ID "{build_id}"' in header.read_text():
            try:
                return read_image(folder)
            except TinyguardError:
                return None
    return None


def default_directory(graph: Graph, board: Board, **options: Unpack[Options]) -> Path:
    """Where `flash` and `build` put a project when no folder is given: one for each set of options."""
    parts = [board.name, graph.sha256[:12], label(options)]
    return Path(".tinyguard") / "build" / "-".join(part for part in parts if part)
