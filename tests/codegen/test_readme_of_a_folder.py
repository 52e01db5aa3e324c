# SPDX-License-Identifier: Apache-2.0
"""README.md and LICENSE of generated folders: their words build the folder where nothing else is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.codegen.networks import chain
from tinyguard.boards import load
from tinyguard.codegen import generate, generate_library, target_of
from tinyguard.graph import Graph
from tinyguard.license import license_text
from tinyguard.tflite import read_graph

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "models" / "digits" / "model.tflite"
needs_cross_compiler = pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed"
)


def _blocks(folder: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (folder / "README.md").read_text(), re.M | re.S)


def _run(words: str, folder: Path) -> None:
    subprocess.run(["sh", "-e", "-c", words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def graph() -> Graph:
    return read_graph(DIGITS)


@pytest.mark.parametrize("prefix", [None, "digits"])
@pytest.mark.parametrize("board", [None, "mps2-an386"])
def test_the_example_of_a_library_runs(
    prefix: str | None, board: str | None, graph: Graph, tmp_path: Path
) -> None:
    folder = tmp_path / "library"
    target = {"target": target_of(load(board))} if board else {}
    generate_library(graph, folder, prefix=prefix, **target)
    _, build, link = _blocks(folder, "sh")
    (example,) = _blocks(folder, "c")
    assert len(example.strip().splitlines()) <= 13
    (folder / "main.c").write_text(example)
    _run(build, folder)
    _run(link.replace("gcc", "gcc -std=c11 -Wall -Wextra -Werror -Wshadow -Wconversion"), folder)
    done = subprocess.run([folder / "main"], capture_output=True, text=True, check=True)
    assert -128 <= int(done.stdout) <= 127


@needs_cross_compiler
@pytest.mark.parametrize("board", [None, "mps2-an386", "mps3-an547"])
def test_the_words_for_a_board_build_a_library(board: str | None, graph: Graph, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    generate_library(graph, folder, **({"target": target_of(load(board))} if board else {}), prefix="digits")
    build = _blocks(folder, "sh")[0]
    _run(build, folder)
    assert (folder / "libdigits.a").is_file()


@needs_cross_compiler
def test_the_words_of_a_firmware_build_it(graph: Graph, tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    generate(graph, load("mps2-an386"), folder)
    (build,) = _blocks(folder, "sh")
    _run(build, folder)
    assert (folder / "build" / "firmware.bin").is_file()


def _listed(folder: Path) -> set[str]:
    rows = re.findall(r"^\| `([^`]+)` \|", (folder / "README.md").read_text(), re.M)
    return {row.rstrip("/") for row in rows}


@pytest.mark.parametrize("kind", ["library", "firmware"])
def test_every_file_is_listed_and_every_row_is_there(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / kind
    if kind == "library":
        generate_library(chain(channels=(3,)), folder, prefix="chain")
    else:
        generate(chain(channels=(3,)), load("mps2-an385"), folder)
    listed = _listed(folder)
    assert all((folder / row).exists() for row in listed)
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        inside = any(name.startswith(f"{row}/") for row in listed)
        assert path.is_dir() or inside or name in listed or name == "README.md", name


def test_the_figures_are_those_of_the_header(graph: Graph, tmp_path: Path) -> None:
    source = generate_library(graph, tmp_path / "library")
    text = (tmp_path / "library" / "README.md").read_text()
    assert f"{source.constant_bytes:,} bytes of constants and {source.plan.arena_bytes:,} bytes" in text
    assert (
        f"TG_MODEL_ARENA_BYTES {source.plan.arena_bytes}u"
        in (tmp_path / "library" / "tg_model.h").read_text()
    )


def test_a_folder_carries_the_licence(graph: Graph, tmp_path: Path) -> None:
    generate_library(graph, tmp_path / "library")
    generate(graph, load("microbit"), tmp_path / "firmware")
    for folder in ("library", "firmware"):
        assert (tmp_path / folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text() == license_text()
