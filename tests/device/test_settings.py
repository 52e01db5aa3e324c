# SPDX-License-Identifier: Apache-2.0
"""Settings on a board, through the client."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.device.host_board import SETTINGS, HostBoard, fake_inputs, fake_layers
from tests.device.proxy import Faults, Proxy
from tinyguard.device.client import Device
from tinyguard.device.failures import DeviceError
from tinyguard.device.handshake import ask
from tinyguard.device.protocol import SETTINGS_ENTRY, Command, ErrorCode, Settings
from tinyguard.errors import TinyguardError

FILE = {setting.name: setting.value for setting in SETTINGS}
OTHERS = {
    "seed": (0x123456789ABCDEF0,),
    "enabled": (0,),
    "level": (-5,),
    "budget": (2**40,),
    "thresholds": (10, -100, -(2**31)),
    "weights": tuple(range(255, 243, -1)),
}


@pytest.fixture
def device(host_board: HostBoard) -> Iterator[Device]:
    with Device(host_board.port) as device:
        device.connect()
        device.declare(SETTINGS)
        yield device


def _told(device: Device) -> dict[str, tuple[int, ...]]:
    return {setting.name: device.tell(setting.name).value for setting in SETTINGS}


def test_all_are_the_files_until_they_are_set_and_after_they_are_put_back(device: Device) -> None:
    assert _told(device) == FILE
    device.set(OTHERS)
    assert _told(device) == OTHERS
    device.restore("level", "weights")
    assert _told(device) == {**OTHERS, "level": FILE["level"], "weights": FILE["weights"]}
    device.restore()
    assert _told(device) == FILE


def test_values_hold_when_another_host_comes_and_go_with_a_reset(host_board: HostBoard) -> None:
    with Device(host_board.port) as first:
        first.connect()
        first.declare(SETTINGS)
        first.set(OTHERS)
    with Device(host_board.port) as second:
        second.connect()
        second.declare(SETTINGS)
        assert _told(second) == OTHERS
        second.reset()
        second.connect()
        assert _told(second) == FILE


def test_what_is_drawn_is_new_before_every_inference_until_a_value_is_given(device: Device) -> None:
    x = fake_inputs(1, seed=8)
    assert device.tell("seed").drawn
    assert not device.tell("budget").drawn
    drawn = set()
    for _ in range(3):
        device.run(*x)
        drawn.add(device.tell("seed").value)
    assert len(drawn) == 3
    device.set({"seed": 99})
    device.run(*x)
    told = device.tell("seed")
    assert (told.value, told.drawn) == ((99,), False)
    device.restore("seed")
    device.run(*x)
    told = device.tell("seed")
    assert told.drawn
    assert told.value not in {*drawn, (99,), FILE["seed"]}


def test_what_was_set_survives_a_reset_that_nobody_asked_for(device: Device) -> None:
    device.set({"seed": 77, "weights": OTHERS["weights"]})
    ask(device.link, Command.RESET, b"", 0)
    device.run(*fake_inputs(1, seed=9))
    assert device.tell("seed").value == (77,)
    ask(device.link, Command.RESET, b"", 0)
    device.set({"level": 5})
    assert _told(device) == {**FILE, "seed": (77,), "weights": OTHERS["weights"], "level": (5,)}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"level": 1001}, "level takes -5 to 1000 and got 1001"),
        ({"enabled": 2}, "enabled takes 0 to 1"),
        ({"thresholds": (1, -1)}, "thresholds takes 3 values and got 2"),
        ({"volume": 1}, "no setting named 'volume'; known: seed, enabled"),
    ],
)
def test_the_host_refuses_before_it_asks(device: Device, values: dict[str, int], words: str) -> None:
    with pytest.raises(TinyguardError, match=words):
        device.set({"budget": 11, **values})
    assert _told(device) == FILE


def test_settings_are_refused_between_two_layers(device: Device) -> None:
    (x0, x1) = fake_inputs(1, seed=10)
    layers = device.run_layers(x0[0], x1[0])
    next(layers)
    for what in ({"level": 9},):
        with pytest.raises(DeviceError, match="out of order") as error:
            device.set(what)
        assert error.value.code == ErrorCode.ORDER
    list(layers)
    assert _told(device) == {**FILE, "seed": device.tell("seed").value}


@pytest.mark.parametrize(
    "table",
    [
        SETTINGS[:3],
        (*SETTINGS, replace(SETTINGS[2], name="more")),
        (SETTINGS[0], SETTINGS[2], SETTINGS[1], *SETTINGS[3:]),
    ],
)
def test_a_board_with_another_table_is_told_apart(host_board: HostBoard, table: tuple) -> None:
    with Device(host_board.port) as device:
        device.connect()
        with pytest.raises(TinyguardError, match="has other settings than this network"):
            device.declare(table)


def test_the_board_says_what_is_wrong_with_a_frame(device: Device) -> None:
    def entry(index: int, *values: int) -> bytes:
        numbers = b"".join((value & 0xFFFFFFFF).to_bytes(4, "little") for value in values)
        return SETTINGS_ENTRY.pack(index=index, words=len(values)) + numbers

    good, start = entry(2, 6), bytes([Settings.SET])
    for payload, code in (
        (b"", ErrorCode.LENGTH),
        (b"\7", ErrorCode.INDEX),
        (start + good + entry(6, 1), ErrorCode.INDEX),
        (start + good + entry(1, 2), ErrorCode.RANGE),
        (start + good + entry(3, 9, 0), ErrorCode.RANGE),
        (start + good + entry(4, 0, -1), ErrorCode.LENGTH),
        (start + good + good[:-1], ErrorCode.LENGTH),
        (start + good + b"\0", ErrorCode.LENGTH),
        (bytes([Settings.RESTORE, 2, 0, 6, 0]), ErrorCode.INDEX),
        (bytes([Settings.RESTORE, 2]), ErrorCode.LENGTH),
    ):
        with pytest.raises(DeviceError) as error:
            ask(device.link, Command.SETTINGS, payload, 0)
        assert error.value.code == code, payload
    assert _told(device) == FILE


def test_two_hundred_inferences_and_twenty_changes_over_a_line_that_loses_bytes(
    host_board_binary: Path,
) -> None:
    x = fake_inputs(200, seed=11)
    with (
        HostBoard(host_board_binary) as board,
        Proxy(board.port, Faults(drop=0.001, seed=12)) as proxy,
        Device(proxy.port) as device,
    ):
        device.connect()
        device.declare(SETTINGS)
        for start in range(0, 200, 10):
            device.set({"seed": start, "level": start})
            batch = device.run(*(array[start : start + 10] for array in x))
            expected = fake_layers(*(array[start : start + 10] for array in x))[2]
            np.testing.assert_array_equal(batch.outputs[1], expected[1])
            assert device.tell("seed").value == (start,)
            assert device.tell("level").value == (start,)
