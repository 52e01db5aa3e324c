# SPDX-License-Identifier: Apache-2.0
"""Pictures as files: SVG as it is, PNG through librsvg."""

import shutil
import subprocess
from pathlib import Path

from tinyguard.errors import TinyguardError
from tinyguard.files import write_atomically

_TIMEOUT_S = 60


def write_picture(path: Path, svg: str) -> None:
    """Write an SVG's text to a path that ends in .svg or .png.

    Raises TinyguardError on another ending, and for .png without rsvg-convert.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".svg", ".png"):
        raise TinyguardError(f"{path} is no picture's name: end it in .svg or .png")
    if not path.absolute().parent.is_dir():
        raise TinyguardError(f"no folder {path.absolute().parent} to write {path.name} into")
    write_atomically(path, svg if kind == ".svg" else _png(svg))


def _png(svg: str) -> bytes:
    program = shutil.which("rsvg-convert")
    if program is None:
        raise TinyguardError(
            "rsvg-convert is missing: name an .svg file, or type: sudo apt-get install librsvg2-bin"
        )
    done = subprocess.run(
        [program, "--format", "png", "--zoom", "2"],
        input=svg.encode(),
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise TinyguardError(f"rsvg-convert failed: {done.stderr.decode(errors='replace').strip()[:200]}")
    return done.stdout
