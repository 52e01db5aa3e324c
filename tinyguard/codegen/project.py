"""A generated folder is a project of its own: `make` builds it without Python."""

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tinyguard.boards import Board, board_header, linker_script, port_sources
from tinyguard.codegen import files
from tinyguard.codegen.prepare import prepare, target_of
from tinyguard.codegen.source import ModelSource
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.paths import data_folder
from tinyguard.toolchain.makefile import makefile

_OURS = "Makefile"  # a folder without it is not one of ours, and is not overwritten


def generate(graph: Graph, board: Board, directory: Path, optimize: str = "balanced") -> ModelSource:
    """Write the firmware project of `graph` for `board` into `directory`, replacing an earlier one.

    Raises TinyguardError on unsupported operators and when `directory` holds something else.
    """
    model = prepare(graph, target_of(board, optimize))
    firmware = data_folder("firmware")
    runtime = sorted(path.relative_to(firmware).as_posix() for path in (firmware / "runtime").glob("*.c"))
    sources = ["model.c", "weights.c", *runtime, *port_sources(board)]
    texts = {
        **model_files([model]),
        "board.h": board_header(board),
        "board.ld": linker_script(board),
        "Makefile": makefile(
            board, sources, includes=(".", "include", "kernels", "runtime", "ports/cortex_m")
        ),
    }
    folders = ["include/tinyguard", "runtime", *sorted({str(Path(s).parent) for s in port_sources(board)})]
    write_project(directory, texts, [*firmware_files(folders), *kernel_files([model])])
    return model


def model_files(models: list[ModelSource]) -> dict[str, str]:
    """weights.h, weights.c and model.c by name."""
    return {
        "weights.h": files.weights_header(models),
        "weights.c": files.weights_source(models),
        "model.c": files.model_source(models),
    }


def firmware_files(folders: Iterable[str]) -> list[str]:
    """C files and headers of folders below firmware/, relative to it."""
    root = data_folder("firmware")
    found = (path for folder in folders for path in (root / folder).glob("*.[ch]"))
    return sorted(path.relative_to(root).as_posix() for path in found)


def kernel_files(models: Iterable[ModelSource]) -> list[str]:
    """The kernel headers that the models include, and those that these include."""
    root = data_folder("firmware") / "kernels"
    waiting = [kernel for model in models for kernel in model.kernels]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            included = re.findall(r'^#include "([^"]+)"', (root / name).read_text(), re.MULTILINE)
            waiting += [header for header in included if (root / header).is_file()]
    return sorted(f"kernels/{name}" for name in found)


def write_project(directory: Path, texts: Mapping[str, str], copied: Iterable[str]) -> None:
    """Write the files beside `directory` and rename the whole into place."""
    directory = Path(directory)
    if directory.exists() and not (directory / _OURS).is_file() and any(directory.iterdir()):
        raise TinyguardError(f"{directory} is not a generated project; choose another folder with -o")
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        firmware = data_folder("firmware")
        for name in copied:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(firmware / name, staging / name)
        for name, text in texts.items():
            (staging / name).write_text(text)
        staging.chmod(0o755)
        if directory.exists():
            shutil.rmtree(directory)
        staging.rename(directory)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
