# SPDX-License-Identifier: Apache-2.0
"""Which serial ports lead to a board: USB ids of the boards' probes, and the emulated boards that run."""

import os
from dataclasses import dataclass

from tinyguard import boards
from tinyguard.errors import TinyguardError
from tinyguard.flashing import running


@dataclass(frozen=True)
class Port:
    """`kind`: "emulator" or "usb". `boards`: names that may be there, none for an unknown USB device.

    `usable`: this user may read and write it.
    """

    port: str
    kind: str
    boards: tuple[str, ...]
    description: str
    usable: bool


def ports() -> list[Port]:
    """Emulated boards that run, then USB serial ports."""
    return _emulated() + _usb()


def find_port(board: str | None = None) -> Port:
    """The one port that leads to `board` (to any board when None).

    Raises TinyguardError when there is none or more than one, or when the user may not open it.
    """
    candidates = [port for port in ports() if port.boards and (board is None or board in port.boards)]
    what = board or "board"
    if not candidates:
        how = (
            f"plug it in or type: tinyguard flash MODEL --board {board}"
            if board
            else "`tinyguard flash` starts one"
        )
        raise TinyguardError(f"no serial port leads to a {what}; {how}")
    if len(candidates) > 1:
        names = ", ".join(port.port for port in candidates)
        raise TinyguardError(f"several ports lead to a {what}: {names}; choose one with --serial")
    if not candidates[0].usable:
        raise TinyguardError(
            f"no permission to open {candidates[0].port}; type: sudo usermod -aG dialout $USER, "
            "then log in again"
        )
    return candidates[0]


def _emulated() -> list[Port]:
    return [
        Port(
            emulator.port, "emulator", (emulator.board,), f"QEMU, pid {emulator.pid}", _usable(emulator.port)
        )
        for emulator in running()
    ]


def _usb() -> list[Port]:
    from serial.tools import list_ports

    known = [boards.load(name) for name in boards.names()]
    usb_ports = []
    for entry in sorted(list_ports.comports()):
        if entry.vid is None:
            continue
        usb_id = (entry.vid, entry.pid)
        matches = tuple(board.name for board in known if board.probe and usb_id in board.probe.usb)
        description = f"{entry.description} ({entry.vid:04x}:{entry.pid:04x})"
        usb_ports.append(Port(entry.device, "usb", matches, description, _usable(entry.device)))
    return usb_ports


def _usable(port: str) -> bool:
    return not port.startswith("/") or os.access(port, os.R_OK | os.W_OK)
