# SPDX-License-Identifier: Apache-2.0
"""A project that is generated again: left alone when nothing changed, replaced when something did."""

import shutil
from pathlib import Path

import pytest

from tests.codegen.networks import chain
from tinyguard.boards import load
from tinyguard.codegen import build_image, built_image, default_directory, generate
from tinyguard.codegen.options import label
from tinyguard.errors import TinyguardError


def _times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed")
def test_the_same_network_leaves_sources_and_objects_as_they_are(tmp_path: Path) -> None:
    board, folder = load("mps2-an385"), tmp_path / "project"
    first = build_image(chain(), board, folder)
    before = _times(folder)
    assert build_image(chain(), board, folder) == first
    assert _times(folder) == before
    assert build_image(chain(seed=1), board, folder).sha256 != first.sha256
    assert _times(folder)[str(folder / "model.c")] != before[str(folder / "model.c")]


def test_a_changed_or_added_file_makes_it_new(tmp_path: Path) -> None:
    board, folder = load("mps2-an385"), tmp_path / "project"
    generate(chain(), board, folder)
    text = (folder / "model.c").read_text()
    (folder / "model.c").write_text(text + "/* mine */\n")
    generate(chain(), board, folder)
    assert (folder / "model.c").read_text() == text
    (folder / "old.c").write_text("")
    generate(chain(), board, folder)
    assert not (folder / "old.c").exists()


def test_options_have_folders_of_their_own() -> None:
    board, graph = load("mps2-an385"), chain()
    folders = {
        default_directory(graph, board, **options)  # type: ignore[arg-type]
        for options in (
            {},
            {"optimize": "speed"},
            {"optimize": "size"},
            {"kernels": "cmsis-nn"},
            {"flash_budget": 1000},
            {"flash_budget": 2000},
        )
    }
    assert len(folders) == 6
    assert default_directory(graph, board, optimize="balanced") == default_directory(graph, board)
    assert label({"optimize": "speed", "kernels": "cmsis-nn"}) == "speed-cmsis-nn"


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed")
def test_an_image_is_found_by_the_build_that_a_board_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    board, graph = load("mps2-an385"), chain()
    images = {}
    for optimize in ("balanced", "size"):
        directory = default_directory(graph, board, optimize=optimize)
        images[directory] = build_image(graph, board, directory, optimize=optimize)
        header = (directory / "board.h").read_text()
        build_id = header.split('TG_BUILD_ID "')[1].split('"')[0]
        assert len(build_id) == 16
        found = built_image(graph, board, build_id)
        assert found is not None
        assert found.sha256 == images[directory].sha256
    assert built_image(graph, board, "0" * 16) is None


def test_a_budget_takes_the_fastest_that_fits() -> None:
    with pytest.raises(TinyguardError, match="the budget is 100: raise --flash-budget"):
        generate(chain(), load("mps2-an385"), Path("unused"), flash_budget=100)
