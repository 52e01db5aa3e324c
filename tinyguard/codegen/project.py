# SPDX-License-Identifier: Apache-2.0
"""A generated folder is a project of its own: `make` builds it without Python."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Unpack

from tinyguard.boards import Board, board_header, linker_script, port_sources
from tinyguard.codegen import c_files
from tinyguard.codegen.options import Options
from tinyguard.codegen.prepare import prepare_for
from tinyguard.codegen.readme import firmware_readme
from tinyguard.codegen.source import ModelSource
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.multi_exit import stages_of
from tinyguard.license import MAKE_HEAD, license_text
from tinyguard.paths import data_folder
from tinyguard.toolchain.cmsis_nn import find_cmsis_nn
from tinyguard.toolchain.makefile import makefile

_OURS = "Makefile"  # a folder without it is not one of ours, and is not overwritten
_SELDOM_RUN = ("runtime/settings.c",)  # compiled for size
_CMSIS_NN_HEADER = "cmsis_nn.h"


def generate(graph: Graph, board: Board, directory: Path, **options: Unpack[Options]) -> ModelSource:
    """Write the firmware project of `graph` for `board` into `directory`, replacing an earlier one.

    Raises TinyguardError on unsupported operators, when `directory` holds something else, and with
    kernels "cmsis-nn" when the library is missing or was compiled for another core.
    """
    model = prepare_for(graph, board, **options)
    write_firmware(model, board, directory, options.get("cmsis_nn"))
    return model


def write_firmware(model: ModelSource, board: Board, directory: Path, cmsis_nn: Path | None = None) -> None:
    """The same for a network that is printed already for `board`."""
    firmware = data_folder("firmware")
    left_out = "no_settings.c" if model.graph.settings else "settings.c"
    runtime = sorted(
        path.relative_to(firmware).as_posix()
        for path in (firmware / "runtime").glob("*.c")
        if path.name != left_out
    )
    sources = ["model.c", "weights.c", *runtime, *port_sources(board)]
    printed = model_files([model])
    texts = {
        **printed,
        "board.h": board_header(board, build_id=build_id(printed), stages=bool(stages_of(model.graph))),
        "board.ld": linker_script(board),
        "Makefile": makefile_for(
            [model],
            board,
            sources,
            (".", "include", "kernels", "runtime", "ports/cortex_m"),
            cmsis_nn,
        ),
        "LICENSE": license_text(),
    }
    folders = ["include/tinyguard", "runtime", *sorted({str(Path(s).parent) for s in port_sources(board)})]
    copied = [name for name in firmware_files(folders) if name != f"runtime/{left_out}"]
    copied += kernel_files([model])
    texts["README.md"] = firmware_readme(model, board, [*texts, *copied], _calls_cmsis_nn([model]))
    write_project(directory, texts, copied)


def build_id(printed: Mapping[str, str]) -> str:
    """What the board tells of its build: the start of a hash of the printed network."""
    digest = hashlib.sha256()
    for name in sorted(printed):
        digest.update(printed[name].encode())
    return digest.hexdigest()[:16]


def makefile_for(
    models: Iterable[ModelSource],
    board: Board,
    sources: Sequence[str],
    includes: Sequence[str],
    cmsis_nn: Path | None = None,
) -> str:
    """The Makefile of a project of `models`: with CMSIS-NN where they call it."""
    flags = {name: ("-Os",) for name in sources if name in _SELDOM_RUN}
    if not _calls_cmsis_nn(models):
        return makefile(board, sources, includes=includes, file_flags=flags)
    library = find_cmsis_nn(board.core, cmsis_nn)
    text = makefile(
        board,
        sources,
        includes=includes,
        file_flags={**flags, "model.c": ("-isystem", "$(CMSIS_NN)/Include")},
        libraries=(f"$(CMSIS_NN)/{library.archive}",),
    )
    where = f"# Your own CMSIS-NN; elsewhere: make CMSIS_NN=DIR\nCMSIS_NN := {library.root}\n"
    return text.replace(MAKE_HEAD, MAKE_HEAD + where, 1)


def _calls_cmsis_nn(models: Iterable[ModelSource]) -> bool:
    return any(_CMSIS_NN_HEADER in model.kernels for model in models)


def model_files(models: list[ModelSource]) -> dict[str, str]:
    """weights.h, weights.c and model.c by name."""
    return {
        "weights.h": c_files.weights_header(models),
        "weights.c": c_files.weights_source(models),
        "model.c": c_files.model_source(models),
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
    """Write the files beside `directory` and rename the whole into place.

    A folder that holds these very files is left as it is, so that make finds its objects up to date.
    """
    directory = Path(directory)
    if directory.exists() and not (directory / _OURS).is_file() and any(directory.iterdir()):
        raise TinyguardError(f"{directory} is not a generated project; choose another folder with -o")
    firmware = data_folder("firmware")
    contents = {name: (firmware / name).read_bytes() for name in copied}
    contents |= {name: text.encode() for name, text in texts.items()}
    if _holds(directory, contents):
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        for name, content in contents.items():
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(content)
        staging.chmod(0o755)
        if directory.exists():
            shutil.rmtree(directory)
        staging.rename(directory)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _holds(directory: Path, contents: Mapping[str, bytes]) -> bool:
    """Whether the folder has these files with these contents, and none besides but what make leaves."""
    if not directory.is_dir():
        return False
    there = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    if {name for name in there if not name.startswith("build/")} != set(contents):
        return False
    return all((directory / name).read_bytes() == content for name, content in contents.items())
