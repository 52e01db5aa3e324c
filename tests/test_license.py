# SPDX-License-Identifier: Apache-2.0
"""Every C and Python file names its licence in its first line, those that are printed too."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.codegen.networks import chain
from tinyguard.boards import load
from tinyguard.codegen import generate, generate_library
from tinyguard.codegen.batch import Batch
from tinyguard.license import C_HEAD, MAKE_HEAD

ROOT = Path(__file__).parents[1]
HEADS = {".c": C_HEAD, ".h": C_HEAD, ".ld": C_HEAD, ".py": MAKE_HEAD}
BUILD_FILES = ("Makefile", "CMakeLists.txt")


def _head_of(path: Path) -> str | None:
    return MAKE_HEAD if path.name in BUILD_FILES else HEADS.get(path.suffix)


def _without(paths: list[Path]) -> list[str]:
    """Those whose first line is another; there has to be something to look at."""
    found = [(path, head) for path in paths if (head := _head_of(path)) is not None]
    assert found
    return [str(path) for path, head in found if not path.read_text().startswith(head)]


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout")
def test_every_tracked_file_names_its_licence() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert _without([path for path in paths if path.is_file()]) == []


@pytest.mark.parametrize("prefix", [None, "chain"])
def test_every_file_of_a_library_names_its_licence(prefix: str | None, tmp_path: Path) -> None:
    generate_library(chain(channels=(3,)), tmp_path / "library", prefix=prefix)
    assert _without([path for path in (tmp_path / "library").rglob("*") if path.is_file()]) == []


@pytest.mark.parametrize("board", ["microbit", "nucleo-f746", "mps2-an386", "mps3-an547"])
def test_every_file_of_a_firmware_names_its_licence(board: str, tmp_path: Path) -> None:
    generate(chain(channels=(3,)), load(board), tmp_path / "firmware")
    assert _without([path for path in (tmp_path / "firmware").rglob("*") if path.is_file()]) == []


def test_every_file_of_the_batch_program_names_its_licence(tmp_path: Path) -> None:
    Batch([chain(channels=(3,))], tmp_path / "batch")
    assert _without([path for path in (tmp_path / "batch").rglob("*") if path.is_file()]) == []
