# SPDX-License-Identifier: Apache-2.0
"""Descriptions: what is read, and one line for every mistake."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyguard.boards import Board, Counter, Link, Memory, Uart, load, names
from tinyguard.errors import TinyguardError
from tinyguard.paths import data_folder

REQUIRED = {
    "microbit",
    "mps2-an385",
    "mps2-an386",
    "mps2-an500",
    "mps2-an505",
    "mps3-an547",
    "netduinoplus2",
    "nucleo-f746",
}


def test_all_boards_load() -> None:
    assert set(names()) >= REQUIRED
    for name in names():
        assert load(name).name == name


def test_nucleo_f746_is_described() -> None:
    board = load("nucleo-f746")
    assert (board.core, board.clock_hz, board.port) == ("cortex-m7", 216_000_000, "stm32f7")
    assert board.memory == (
        Memory("flash", 0x0800_0000, 1 << 20, "rom"),
        Memory("ram", 0x2000_0000, 320 << 10, "ram"),
    )
    assert board.uart == Uart(base=0x4000_4800, irq=39, baud=115_200, clock_hz=54_000_000)
    assert board.probe is not None
    assert (0x0483, 0x374B) in board.probe.usb
    assert board.probe.openocd == ("board/st_nucleo_f7.cfg",)
    assert board.runners[0] == "openocd"
    assert board.flash_address == 0x0800_0000


def test_microbit_is_described() -> None:
    board = load("microbit")
    assert [memory.size for memory in board.memory] == [256 << 10, 16 << 10]
    assert board.counter == Counter(base=0x4000_8000, irq=8)
    assert board.link == Link(ring_bytes=1024, chunk_bytes=256)
    assert board.runners == ("emulator", "openocd", "pyocd")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(TinyguardError) as error:
        load("nucleo-f764")
    assert str(error.value).startswith("no board named 'nucleo-f764'; did you mean nucleo-f7")
    with pytest.raises(TinyguardError, match=r"^no board named 'zzz'; `tinyguard boards` lists them$"):
        load("zzz")
    with pytest.raises(TinyguardError, match="no board named"):
        load("../boards/microbit")


def _load_text(text: str, folder: Path) -> Board:
    path = folder / "mine.toml"
    path.write_text(text)
    return load(str(path))


def test_a_board_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    text = (data_folder("boards") / "mps2-an386.toml").read_text()
    board = _load_text(text.replace("ring_bytes = 4096", "ring_bytes = 8192"), tmp_path)
    assert (board.name, board.link.ring_bytes) == ("mine", 8192)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ring_bytes = 4096", "ring_bytes = 4000", "link.ring_bytes must be a power of two"),
        ("ring_bytes = 4096", "", "link.ring_bytes is missing"),
        ("chunk_bytes = 2048", "chunk_bytes = 2047", "link.chunk_bytes must be a multiple of 8 below 4096"),
        ("chunk_bytes = 2048", "chunk_bytes = 4096", "link.chunk_bytes must be a multiple of 8 below 4096"),
        ("irq = 0", "irq = -1", "uart.irq must be a number of 0 or more, not -1"),
        ("irq = 0", "irq = true", "uart.irq must be a number"),
        ("stack_bytes = 4096", "stack_bytes = 4100", "stack_bytes must be a multiple of 16"),
        ('arena = "ram"', 'arena = "flash"', "placement.arena = 'flash'"),
        ('arena = "ram"', 'arena = "ram"\nsong = "ram"', "unknown key placement.song"),
        ('kind = "ram"', 'kind = "tape"', "memory.ram.kind must be rom or ram"),
        ("title =", "title = = ", "is not TOML"),
        ("clock_hz = 25", "colour = 3\nclock_hz = 25", "unknown key"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = (data_folder("boards") / "mps2-an386.toml").read_text()
    assert old in text
    with pytest.raises(TinyguardError) as error:
        _load_text(text.replace(old, new, 1), tmp_path)
    assert told in str(error.value)
    assert "mine.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TinyguardError, match=r"cannot read board .*none\.toml"):
        load(str(tmp_path / "none.toml"))


@given(st.data())
def test_any_line_dropped_or_changed_loads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = (data_folder("boards") / "microbit.toml").read_text().splitlines()
    where = data.draw(st.integers(0, len(lines) - 1))
    lines[where] = data.draw(
        st.sampled_from(["", "x = 1", "[uart]", f"{lines[where].partition('=')[0]}= 'text'", "probe = [1]"])
        | st.text(max_size=20)
    )
    path = tmp_path_factory.getbasetemp() / "changed.toml"
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    refusal = ""
    try:
        load(str(path))
    except TinyguardError as error:
        refusal = str(error)
    assert "\n" not in refusal
