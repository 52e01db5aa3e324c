# SPDX-License-Identifier: Apache-2.0
"""The boards: what `boards/NAME.toml` says, and the C header and linker script made from it."""

from tinyguard.boards.board import Board, Clocks, Counter, Emulator, Link, Memory, Probe, Uart
from tinyguard.boards.header import board_header, link_bytes, port_sources, port_state_bytes
from tinyguard.boards.linker import linker_script
from tinyguard.boards.load import load, names

__all__ = [
    "Board",
    "Clocks",
    "Counter",
    "Emulator",
    "Link",
    "Memory",
    "Probe",
    "Uart",
    "board_header",
    "link_bytes",
    "linker_script",
    "load",
    "names",
    "port_sources",
    "port_state_bytes",
]
