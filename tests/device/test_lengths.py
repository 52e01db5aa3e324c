# SPDX-License-Identifier: Apache-2.0
"""An output of variable length, from the board's runtime to arrays of fixed shape."""

from pathlib import Path

import numpy as np
import pytest

from tests.device.host_board import HostBoard, compile_host_board, fake_inputs, fake_layers
from tests.device.proxy import Faults, Proxy
from tests.device.scripted import ScriptedBoard, reply_to
from tinyguard.device.client import Device
from tinyguard.device.failures import NonsenseError
from tinyguard.device.framing import Frame
from tinyguard.device.inference import _read_used
from tinyguard.device.protocol import COUNT_BYTES


def _expected(x0: np.ndarray, x1: np.ndarray, x: int) -> tuple[np.ndarray, np.ndarray]:
    total, backwards = fake_layers(x0, x1)[2]
    used = total.astype(np.uint32) % (x + 8)
    return total, np.where(np.arange(x) < used[:, None], backwards, 0).astype(np.int8)


@pytest.mark.parametrize(("x", "drop"), [(60, 0.0), (60, 0.002), (1000, 0.0), (1000, 0.001)])
def test_used_bytes_alone_travel_and_the_rest_is_zero(tmp_path: Path, x: int, drop: float) -> None:
    """In one frame, and in pieces of 256 bytes; clean, and with bytes lost."""
    binary = compile_host_board(tmp_path / "board", x=x, variable=True)
    inputs = fake_inputs(40 if x == 60 else 10, seed=x, x=x)
    with (
        HostBoard(binary) as board,
        Proxy(board.port, Faults(drop=drop, seed=3)) as proxy,
        Device(proxy.port) as device,
    ):
        description = device.connect()
        assert [tensor.variable for tensor in description.outputs] == [False, True]
        assert description.output_bytes == 4 + COUNT_BYTES + x
        batch = device.run(*inputs)
    total, backwards = _expected(*inputs, x)
    np.testing.assert_array_equal(batch.outputs[0], total)
    np.testing.assert_array_equal(batch.outputs[1], backwards)
    lengths = total.astype(np.uint32) % (x + 8)
    assert lengths.min() < x / 2 < lengths.max()


def test_a_count_beyond_the_output_is_refused() -> None:
    def script(frame: Frame) -> bytes:
        return reply_to(frame, (61).to_bytes(4, "little") + bytes(32))

    with (
        ScriptedBoard(script) as board,
        Device(board.port) as device,
        pytest.raises(NonsenseError, match="READ_OUTPUT"),
    ):
        _read_used(device.link, 0, 60)
