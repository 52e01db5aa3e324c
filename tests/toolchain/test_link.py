# SPDX-License-Identifier: Apache-2.0
"""Real images of every board: sizes predicted to the byte, the same hash anywhere, clear refusals."""

import dataclasses
import subprocess
from pathlib import Path

import pytest

from tests.firmware_ports.project import HERE, write_project
from tinyguard.boards import Board, link_bytes, load, names
from tinyguard.errors import TinyguardError
from tinyguard.toolchain import Image, build, sections

pytestmark = [pytest.mark.emulator, pytest.mark.xdist_group("link")]


def one_layer(board: Board, directory: Path) -> Image:
    write_project(board, directory, [HERE / "model.c"], runtime=True)
    return build(directory, board)


@pytest.fixture(scope="module", params=names())
def board(request: pytest.FixtureRequest) -> Board:
    return load(request.param)


@pytest.fixture(scope="module")
def image(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Image:
    return one_layer(board, tmp_path_factory.mktemp(board.name))


def test_sections_are_predicted_to_the_byte(board: Board, image: Image) -> None:
    assert image.sections[".tg_link"] == link_bytes(board)
    assert image.sections[".tg_stack"] == board.stack_bytes
    assert image.sections[".tg_arena"] == 48
    assert image.sections[".tg_constants"] == 8
    assert image.ram_bytes == link_bytes(board) + board.stack_bytes + 48
    assert set(image.sections) == {".vectors", ".text", ".tg_constants", ".tg_stack", ".tg_link", ".tg_arena"}
    assert image.flash_bytes == image.bin.stat().st_size


def test_everything_lies_where_the_board_says(board: Board, image: Image) -> None:
    parts = {
        ".vectors": "code",
        ".text": "code",
        ".tg_constants": "constants",
        ".tg_stack": "stack",
        ".tg_link": "link",
        ".tg_arena": "arena",
    }
    for section in sections(image.elf).values():
        memory = board.region(parts[section.name])
        assert memory.base <= section.address
        assert section.address + section.size <= memory.base + memory.size
        assert section.stored == (memory.kind == "rom")
    assert sections(image.elf)[".vectors"].address == board.flash_address


def test_the_same_input_gives_the_same_image_in_any_folder(tmp_path: Path) -> None:
    board = load("mps2-an500")
    short, long = tmp_path / "a", tmp_path / "another folder" / "deeper"
    for folder in (short, long):
        folder.mkdir(parents=True)
    first, second = one_layer(board, short), one_layer(board, long)
    assert first.sha256 == second.sha256
    assert first.elf.read_bytes() == second.elf.read_bytes()


def test_make_alone_builds_the_same_image(tmp_path: Path) -> None:
    image = one_layer(load("nucleo-f746"), tmp_path)
    content = image.elf.read_bytes()
    subprocess.run(["make", "-C", str(tmp_path), "clean", "all"], check=True, capture_output=True)
    assert image.elf.read_bytes() == content


def test_an_image_too_large_is_refused_with_bytes_needed_and_there(tmp_path: Path) -> None:
    board = load("mps2-an385")
    flash, ram = board.memory
    small = dataclasses.replace(
        board, memory=(dataclasses.replace(flash, size=1024), dataclasses.replace(ram, size=12500))
    )
    needed = one_layer(board, tmp_path / "whole")
    with pytest.raises(TinyguardError) as refusal:
        one_layer(small, tmp_path / "small")
    # The linker keeps the constants' alignment of 16, as the whole image does.
    assert str(refusal.value) == (
        f"does not fit mps2-an385: flash needs {needed.flash_bytes:,} bytes, 1,024 there; "
        f"take a smaller network or a larger board (`tinyguard boards`)"
    )


def test_a_variable_outside_the_known_sections_is_refused(tmp_path: Path) -> None:
    stray = tmp_path / "stray.c"
    stray.write_text("int tg_stray; int main(void); int main(void) { return tg_stray++; }\n")
    board = load("mps2-an386")
    write_project(board, tmp_path / "project", [stray], 64)
    with pytest.raises(TinyguardError, match="a variable outside"):
        build(tmp_path / "project", board)


def test_an_error_of_the_compiler_is_shown_with_its_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.c"
    broken.write_text("int main(void);\nint main(void) { return nothing; }\n")
    board = load("mps2-an386")
    write_project(board, tmp_path / "project", [broken], 64)
    with pytest.raises(TinyguardError, match=r"broken.c:2:25: error: .*nothing") as error:
        build(tmp_path / "project", board)
    assert "\n" not in str(error.value)


def test_sections_equal_those_of_readelf(tmp_path: Path) -> None:
    image = one_layer(load("mps3-an547"), tmp_path)
    listing = subprocess.run(
        ["arm-none-eabi-readelf", "-SW", str(image.elf)], check=True, capture_output=True, text=True
    ).stdout
    shown = {}
    for line in listing.splitlines():
        fields = line.replace("[ ", "[").split()
        if len(fields) >= 8 and fields[1].startswith(".") and "A" in fields[7]:
            shown[fields[1]] = (int(fields[3], 16), int(fields[5], 16), fields[2] != "NOBITS")
    ours = {s.name: (s.address, s.size, s.stored) for s in sections(image.elf).values()}
    assert ours == {name: entry for name, entry in shown.items() if entry[1]}
