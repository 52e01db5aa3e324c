# SPDX-License-Identifier: Apache-2.0
"""Ports other than a local PTY."""

import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.device.host_board import fake_inputs, fake_layers
from tinyguard.device.client import Device
from tinyguard.device.failures import NoReplyError, PortError, PortVanishedError
from tinyguard.device.transport import Transport


def test_a_board_behind_a_socket(host_board_binary: Path) -> None:
    x = fake_inputs(5, seed=1)
    server = socket.create_server(("127.0.0.1", 0))
    with server, Device(f"socket://127.0.0.1:{server.getsockname()[1]}") as device:
        line, _ = server.accept()
        board = subprocess.Popen([host_board_binary], stdin=line.fileno())
        try:
            device.connect()
            np.testing.assert_array_equal(device.run(*x).outputs[0], fake_layers(*x)[2][0])
        finally:
            board.kill()
            board.wait()
            line.close()
        with pytest.raises(PortVanishedError):
            device.run(*x)


def test_a_port_without_a_file_descriptor() -> None:
    transport = Transport("loop://")
    assert transport.read(0.01) == b""
    assert transport.write(b"there and back", 1.0) == b""
    assert transport.read(1.0) == b"there and back"
    transport.close()


def test_an_echo_is_no_reply() -> None:
    with Device("loop://") as device, pytest.raises(NoReplyError):
        device.connect(patience_s=0.3)


def test_a_socket_that_nobody_serves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    with pytest.raises(PortError, match=f"socket://127.0.0.1:{number} cannot be opened"):
        Device(f"socket://127.0.0.1:{number}")


def test_rates_can_be_changed_and_nonsense_is_refused() -> None:
    transport = Transport("loop://")
    transport.baud = 9600
    assert transport.baud == 9600
    with pytest.raises(PortError, match="cannot run at -1 baud"):
        transport.baud = -1
    transport.close()
