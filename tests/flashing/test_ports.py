# SPDX-License-Identifier: Apache-2.0
"""Ports by USB ids."""

from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from tinyguard.errors import TinyguardError
from tinyguard.flashing import ports as room


class Entry(SimpleNamespace):
    def __lt__(self, other: "Entry") -> bool:
        return bool(self.device < other.device)


def _plug(monkeypatch: pytest.MonkeyPatch, *entries: tuple[str, int | None, int | None]) -> None:
    found = [Entry(device=device, vid=vid, pid=pid, description="a port") for device, vid, pid in entries]
    monkeypatch.setattr(list_ports, "comports", lambda: found)
    monkeypatch.setattr(room, "running", list)
    monkeypatch.setattr(room, "_usable", lambda port: port != "/dev/ttyLOCKED")


def test_boards_are_told_by_their_usb_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    _plug(
        monkeypatch,
        ("/dev/ttyACM1", 0x0483, 0x374B),
        ("/dev/ttyACM0", 0x0D28, 0x0204),
        ("/dev/ttyUSB0", 0x0403, 0x6001),
        ("/dev/ttyS0", None, None),
    )
    assert [(port.port, port.boards) for port in room.ports()] == [
        ("/dev/ttyACM0", ("microbit",)),
        ("/dev/ttyACM1", ("nucleo-f746", "nucleo-f767")),
        ("/dev/ttyUSB0", ()),
    ]
    assert room.ports()[2].description == "a port (0403:6001)"
    assert room.find_port("nucleo-f746").port == "/dev/ttyACM1"
    with pytest.raises(TinyguardError, match="several ports lead to a board: /dev/ttyACM0, /dev/ttyACM1"):
        room.find_port()


def test_no_port_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    _plug(monkeypatch)
    with pytest.raises(
        TinyguardError, match="no serial port leads to a microbit; plug it in or type: tinyguard"
    ):
        room.find_port("microbit")


def test_a_port_without_permission_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _plug(monkeypatch, ("/dev/ttyLOCKED", 0x0D28, 0x0204))
    with pytest.raises(TinyguardError, match="no permission to open /dev/ttyLOCKED; type: sudo usermod"):
        room.find_port("microbit")
