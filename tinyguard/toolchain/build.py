# SPDX-License-Identifier: Apache-2.0
"""Building a generated project with make."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tinyguard.boards import Board
from tinyguard.errors import TinyguardError
from tinyguard.toolchain.compilers import cross_compiler, find_tool
from tinyguard.toolchain.elf import sections
from tinyguard.toolchain.fit import overflow

_RAM_SECTIONS = (".tg_stack", ".tg_link", ".tg_arena")


@dataclass(frozen=True)
class Image:
    """A linked firmware image.

    `flash_bytes`: size of what is programmed, `bin`. `ram_bytes`: arena, link state and stack. `sections`:
    size of every section that takes up memory. `sha256`: of `bin`, equal for equal input in any folder.
    """

    elf: Path
    bin: Path
    flash_bytes: int
    ram_bytes: int
    sections: dict[str, int]
    sha256: str


def build(directory: Path, board: Board) -> Image:
    """Run make in a generated project.

    Raises TinyguardError when a tool is missing, when the image does not fit, or when something does not
    compile: the first error of the compiler, with its file and line.
    """
    directory = Path(directory)
    if not (directory / "Makefile").is_file():
        raise TinyguardError(f"no Makefile in {directory}; `tinyguard build` writes one")
    cross_compiler()
    make = find_tool("make", "make")
    done = subprocess.run(
        [make, "--no-print-directory", "-j2", "-C", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise overflow(board, done.stderr) or TinyguardError(
            f"building {directory} failed: {first_error(done.stderr)}; `make -C {directory}` shows the whole"
        )
    return read_image(directory)


def read_image(directory: Path) -> Image:
    """The image that make left in `directory`/build; raises TinyguardError when there is none."""
    elf, binary = (Path(directory) / "build" / f"firmware.{suffix}" for suffix in ("elf", "bin"))
    if not elf.is_file() or not binary.is_file():
        raise TinyguardError(f"no image in {directory}; type: make -C {directory}")
    content = binary.read_bytes()
    sizes = {name: section.size for name, section in sections(elf).items()}
    return Image(
        elf=elf,
        bin=binary,
        flash_bytes=len(content),
        ram_bytes=sum(sizes.get(name, 0) for name in _RAM_SECTIONS),
        sections=sizes,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def first_error(output: str) -> str:
    """The line of a compiler's output that says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = ("error:", "undefined reference", "No rule", "ASSERT", "ld: ")
    for line in lines:
        if any(word in line for word in telling):
            return line
    return lines[-1] if lines else "make said nothing"
