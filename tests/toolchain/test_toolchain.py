# SPDX-License-Identifier: Apache-2.0
"""What needs no compiler: fit, core flags, Makefile text, ELF parsing, missing tools."""

import dataclasses
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyguard.boards import link_bytes, load, names
from tinyguard.errors import TinyguardError
from tinyguard.toolchain import build, check_fit, core_flags, cores, cross_compiler, makefile, sections
from tinyguard.toolchain.build import first_error
from tinyguard.toolchain.fit import overflow


def test_every_board_has_a_known_core() -> None:
    assert {load(name).core for name in names()} <= set(cores())
    assert core_flags("cortex-m4") == ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-mthumb")
    with pytest.raises(TinyguardError, match="no core named 'cortex-a53'"):
        core_flags("cortex-a53")


def test_what_fits_to_the_byte_fits_and_one_more_does_not() -> None:
    board = load("microbit")
    check_fit(board, 256 * 1024, 16 * 1024)
    with pytest.raises(TinyguardError) as refusal:
        check_fit(board, 256 * 1024 + 1, 16 * 1024 + 4)
    assert str(refusal.value) == (
        "does not fit microbit: flash needs 262,145 bytes, 262,144 there; ram needs 16,388 bytes, "
        "16,384 there; take a smaller network or a larger board (`tinyguard boards`)"
    )


def test_parts_in_different_memories_are_counted_apart() -> None:
    board = load("mps3-an547")
    check_fit(board, 1000, board.stack_bytes + link_bytes(board) + 4 * 1024 * 1024)
    with pytest.raises(TinyguardError, match=r"sram needs 4,194,305 bytes, 4,194,304 there"):
        check_fit(board, 1000, board.stack_bytes + link_bytes(board) + 4 * 1024 * 1024 + 1)


def test_the_linkers_overflow_becomes_bytes_needed() -> None:
    output = "ld: section `.text' will not fit in region `flash'\nld: region `flash' overflowed by 12 bytes"
    refusal = overflow(load("microbit"), output)
    assert str(refusal).startswith("does not fit microbit: flash needs 262,156 bytes, 262,144 there")
    assert overflow(load("microbit"), "undefined reference to `main'") is None


def test_the_makefile_has_relative_paths_and_flags_per_file() -> None:
    text = makefile(load("mps2-an386"), ["model.c", "kernels/conv.c"], file_flags={"kernels/conv.c": ["-O3"]})
    assert "SOURCES := model.c \\\n    kernels/conv.c" in text
    assert "$(BUILD)/kernels/conv.c.o: CFLAGS += -O3" in text
    assert str(Path.home()) not in text


def test_first_error_finds_the_telling_line() -> None:
    assert first_error("make: Entering\na.c:1:2: error: no\nmake: *** [x] Error 1") == "a.c:1:2: error: no"
    assert first_error("") == "make said nothing"


def test_missing_tools_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "Makefile").write_text("")
    with pytest.raises(TinyguardError) as missing:
        cross_compiler()
    assert str(missing.value) == (
        "arm-none-eabi-gcc is not installed; "
        "type: sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
    )
    with pytest.raises(TinyguardError, match="arm-none-eabi-gcc is not installed"):
        build(tmp_path, load("mps2-an386"))


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TinyguardError, match="no Makefile in"):
        build(tmp_path, load("mps2-an386"))


def _elf(names_table: bytes = b"\0.text\0") -> bytes:
    header = struct.pack(
        "<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 40, 1, 0, 0, 52, 0, 52, 0, 0, 40, 3, 2
    )
    null = bytes(40)
    text = struct.pack("<10I", 1, 1, 6, 0x8000, 0, 24, 0, 0, 4, 0)
    table = struct.pack("<10I", 0, 3, 0, 0, 52 + 120, len(names_table), 0, 0, 1, 0)
    return header + null + text + table + names_table


def test_a_minimal_elf_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.elf"
    path.write_bytes(_elf())
    assert dataclasses.astuple(sections(path)[".text"]) == (".text", 0x8000, 24, True)


@given(
    st.integers(0, len(_elf())),
    st.lists(st.tuples(st.integers(0, len(_elf()) - 1), st.binary(min_size=1, max_size=1))),
)
def test_damaged_elf_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, length: int, changes: list[tuple[int, bytes]]
) -> None:
    data = bytearray(_elf())
    for where, value in changes:
        data[where : where + 1] = value
    path = tmp_path_factory.getbasetemp() / "damaged.elf"
    path.write_bytes(data[:length])
    refusal = ""
    try:
        sections(path)
    except TinyguardError as error:
        refusal = str(error)
    assert not refusal or "is not a 32-bit ELF file" in refusal
