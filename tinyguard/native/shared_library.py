# SPDX-License-Identifier: Apache-2.0
"""The C files beside this one as a shared library: compiled once by this machine's C compiler, kept in the
user's cache."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

_SOURCES = tuple(sorted(Path(__file__).parent.glob("*.[ch]")))
_FLAGS = ("-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_SWITCH = "TINYGUARD_NATIVE"


@functools.cache
def library() -> ctypes.CDLL | None:
    """None where there is no C compiler, no place for the library, or TINYGUARD_NATIVE=0 is set."""
    if os.environ.get(_SWITCH) == "0":
        return None
    try:
        path = _path()
        if not path.is_file():
            _build(path)
        return ctypes.CDLL(str(path))
    except (OSError, RuntimeError, subprocess.SubprocessError):
        return None  # torch and NumPy do the same, only slower


def _path() -> Path:
    """Raises RuntimeError where there is no home folder."""
    said = " ".join((*_FLAGS, platform.machine(), platform.system(), *platform.libc_ver()))
    text = b"".join(source.read_bytes() for source in _SOURCES)
    digest = hashlib.sha256(text + said.encode()).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "tinyguard" / f"loops-{digest}.so"


def _build(path: Path) -> None:
    """Raises OSError or SubprocessError where that fails."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".loops-", dir=path.parent) as folder:
        built = Path(folder) / path.name
        sources = [str(source) for source in _SOURCES if source.suffix == ".c"]
        subprocess.run(
            [compiler, *_FLAGS, *sources, "-o", str(built), "-lm"],
            check=True,
            capture_output=True,
            timeout=60,
        )
        os.replace(built, path)
