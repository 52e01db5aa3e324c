# SPDX-License-Identifier: Apache-2.0
"""board.h and board.ld as text."""

import re

import pytest

from tinyguard.boards import (
    board_header,
    link_bytes,
    linker_script,
    load,
    names,
    port_sources,
    port_state_bytes,
)
from tinyguard.device.layout import encoded_frame_bytes
from tinyguard.paths import data_folder


def _defines(text: str) -> dict[str, str]:
    return dict(re.findall(r"^#define (\w+) (.+)$", text, re.MULTILINE))


def test_the_header_of_an_emulated_board() -> None:
    defines = _defines(board_header(load("mps2-an505"), 64))
    assert defines["TG_UART_BASE"] == "0x40200000u"
    assert defines["TG_UART_IRQ"] == "32"
    assert defines["TG_VECTOR_COUNT"] == "49"
    assert defines["TG_RING_BYTES"] == "4096u"
    assert defines["TG_PORT_STATE_BYTES"] == "4136u"
    assert defines["TG_RUNTIME_STATE_BYTES"] == "64u"
    assert "TG_COUNTER_IRQ" not in defines


def test_the_header_of_a_board_with_its_own_counter() -> None:
    defines = _defines(board_header(load("microbit")))
    assert defines["TG_COUNTER_BASE"] == "0x40008000u"
    assert defines["TG_COUNTER_IRQ"] == "8"
    assert defines["TG_VECTOR_COUNT"] == "25"


@pytest.mark.parametrize("name", names())
def test_link_bytes_are_port_and_runtime_rounded_up(name: str) -> None:
    board = load(name)
    runtime = int(_defines(board_header(board))["TG_RUNTIME_STATE_BYTES"].rstrip("u"))
    assert 0 <= link_bytes(board) - port_state_bytes(board) - runtime < 16
    assert link_bytes(board) % 16 == 0


@pytest.mark.parametrize("name", names())
def test_the_ring_holds_the_longest_frame(name: str) -> None:
    link = load(name).link
    assert encoded_frame_bytes(link.chunk_bytes) <= link.ring_bytes


@pytest.mark.parametrize("name", names())
def test_one_counter_and_one_uart_per_port(name: str) -> None:
    text = "".join((data_folder("firmware") / source).read_text() for source in port_sources(load(name)))
    for function in ("tg_counter_init", "tg_uart_init", "tg_clock_init", "tg_port_init", "tg_uart_interrupt"):
        assert len(re.findall(rf"^\w+ {function}\(.*\) \{{", text, re.MULTILINE)) == 1, function


def test_the_linker_script_places_each_part() -> None:
    script = linker_script(load("mps3-an547"))
    assert "itcm (rx) : ORIGIN = 0x00000000, LENGTH = 0x80000" in script
    placed = re.findall(r"^    (\.\w+)[^{]*\{.*?^    \} > (\w+)", script, re.MULTILINE | re.DOTALL)
    assert dict(placed) == {
        ".vectors": "itcm",
        ".text": "itcm",
        ".tg_constants": "itcm",
        ".tg_stack": "dtcm",
        ".tg_link": "dtcm",
        ".tg_arena": "sram",
        ".data": "dtcm",
        ".bss": "dtcm",
    }
