# SPDX-License-Identifier: Apache-2.0
"""The client against the real runtime, compiled for this machine."""

import time
from pathlib import Path

import numpy as np
import pytest

from tests.device.host_board import MODEL_SHA256, HostBoard, fake_inputs, fake_layers
from tinyguard.device.client import Device
from tinyguard.device.description import TensorDescription
from tinyguard.device.failures import (
    DeviceError,
    NoReplyError,
    PortError,
    PortVanishedError,
    WrongModelError,
)
from tinyguard.device.layout import runtime_state_bytes
from tinyguard.device.protocol import (
    INVOKE_REQUEST,
    READ_LAYER_REQUEST,
    READ_OUTPUT_REQUEST,
    WRITE_REQUEST,
    Command,
    ErrorCode,
)
from tinyguard.errors import TinyguardError

PATIENCE_S = 5.0


def test_a_board_describes_itself(host_board: HostBoard) -> None:
    with Device(host_board.port) as device:
        found = device.connect(MODEL_SHA256.upper())
    assert (found.board, found.core, found.build) == ("host", "host", "0123456789abcdef")
    assert (found.protocol_version, found.chunk_bytes, found.layer_count) == (2, 256, 3)
    assert (found.clock_hz, found.baud, found.arena_bytes) == (1_000_000, 115_200, 4321)
    assert (found.link_bytes, found.stack_bytes) == (runtime_state_bytes(256), 1024)
    assert (found.unit, found.to_unit(1000)) == ("instructions", 500)
    assert found.inputs == (
        TensorDescription((1, 15, 4), "int8", 0.5, -3, 60),
        TensorDescription((1, 4), "int8", 0.25, 7, 4),
    )
    assert found.outputs == (
        TensorDescription((1,), "int32", 1.5, 0, 4),
        TensorDescription((1, 60), "int8", 0.5, -3, 60),
    )


def test_a_batch_is_right_and_counted(host_board: HostBoard) -> None:
    x = fake_inputs(50, seed=1)
    done: list[int] = []
    with Device(host_board.port) as device:
        device.connect()
        batch = device.run(*x, on_sample=done.append)
        assert device.link.broken_frames == 0
    total, backwards = fake_layers(*x)[2]
    assert batch.outputs[0].dtype == np.int32
    np.testing.assert_array_equal(batch.outputs[0], total)
    np.testing.assert_array_equal(batch.outputs[1], backwards)
    assert batch.counts.tolist() == [6 * 60] * 50
    assert batch.unit == "instructions"
    assert not batch.disturbed.any()
    assert done == list(range(1, 51))


def test_a_sample_larger_than_a_frame_travels_in_pieces(large_board: HostBoard) -> None:
    x = fake_inputs(5, seed=2, x=3000)
    with Device(large_board.port) as device:
        device.connect()
        batch = device.run(*x)
    total, backwards = fake_layers(*x)[2]
    np.testing.assert_array_equal(batch.outputs[0], total)
    np.testing.assert_array_equal(batch.outputs[1], backwards)


@pytest.mark.parametrize(("which", "x"), [("host_board", 60), ("large_board", 3000)])
def test_every_layer_can_be_read(request: pytest.FixtureRequest, which: str, x: int) -> None:
    board = request.getfixturevalue(which)
    inputs = fake_inputs(1, seed=3, x=x)
    with Device(board.port) as device:
        device.connect()
        runs = list(device.run_layers(*(array[0] for array in inputs)))
        after = device.infer(*(array[0] for array in inputs))
    expected = fake_layers(*inputs)
    assert [run.layer for run in runs] == [0, 1, 2]
    assert [run.count for run in runs] == [x, 2 * x, 3 * x]
    for run, layer in zip(runs, expected, strict=True):
        assert [output.dtype for output in run.outputs] == [output.dtype for output in layer]
        for output, right in zip(run.outputs, layer, strict=True):
            np.testing.assert_array_equal(output, right)
    np.testing.assert_array_equal(after.outputs[1], expected[2][1][0])


def test_an_empty_batch_has_empty_outputs(host_board: HostBoard) -> None:
    with Device(host_board.port) as device:
        device.connect()
        batch = device.run(*fake_inputs(0, seed=0))
    assert [output.shape for output in batch.outputs] == [(0,), (0, 60)]


def test_wrong_arrays_are_refused_before_anything_is_sent(host_board: HostBoard) -> None:
    x0, x1 = fake_inputs(2, seed=0)
    with Device(host_board.port) as device:
        with pytest.raises(TinyguardError, match="not connected"):
            device.run(x0, x1)
        device.connect()
        with pytest.raises(TinyguardError, match="has 2 inputs and got 1"):
            device.run(x0)
        with pytest.raises(TinyguardError, match="samples"):
            device.run(x0, x1[:1])
        with pytest.raises(TinyguardError, match=r"input 0 .* int8 \(15, 4\) .* got int16"):
            device.run(x0.astype(np.int16), x1)
        with pytest.raises(TinyguardError, match=r"input 1 .* got int8 \(2,\)"):
            device.run(x0, x1[:, :2])


def test_another_model_is_refused(host_board: HostBoard) -> None:
    with Device(host_board.port) as device, pytest.raises(WrongModelError) as caught:
        device.connect("ab" * 32)
    assert "expected sha256 abababababababab, found face010203040506" in str(caught.value)
    assert "tinyguard flash" in str(caught.value)


def test_a_silent_port_is_said_so_in_time(host_board: HostBoard) -> None:
    host_board.stop()
    started = time.monotonic()
    with Device(host_board.port) as device, pytest.raises(NoReplyError, match="no reply from /dev/"):
        device.connect(patience_s=0.5)
    assert 0.5 <= time.monotonic() - started < 5.0


def test_ports_that_cannot_be_opened(host_board: HostBoard) -> None:
    with pytest.raises(PortError, match="there is no port /dev/nothing: tinyguard ports"):
        Device("/dev/nothing")
    with Device(host_board.port), pytest.raises(PortError, match="in use by another program"):
        Device(host_board.port)
    with pytest.raises(PortError, match="cannot be opened"):
        Device("nonsense://port")


def test_a_port_that_vanishes_says_resume(host_board: HostBoard) -> None:
    def pull(done: int) -> None:
        if done == 3:
            host_board.pull()

    with Device(host_board.port) as device:
        device.connect()
        with pytest.raises(PortVanishedError, match="--resume"):
            device.run(*fake_inputs(10, seed=4), on_sample=pull)


def test_a_board_that_restarts_in_a_run_is_taken_up_again(host_board: HostBoard) -> None:
    def restart(done: int) -> None:
        if done in (3, 7):
            host_board.stop()
            host_board.start()

    x = fake_inputs(10, seed=5)
    with Device(host_board.port) as device:
        device.connect(MODEL_SHA256)
        batch = device.run(*x, on_sample=restart)
    np.testing.assert_array_equal(batch.outputs[0], fake_layers(*x)[2][0])


def test_reset_starts_the_board_anew(host_board: HostBoard) -> None:
    x = fake_inputs(3, seed=6)
    with Device(host_board.port) as device:
        device.connect()
        device.run(*x)
        frames = device.status().frames
        device.reset()
        device.connect()
        assert device.status().frames < frames
        np.testing.assert_array_equal(device.run(*x).outputs[0], fake_layers(*x)[2][0])


def test_the_port_can_be_closed_and_opened_again(host_board: HostBoard) -> None:
    x = fake_inputs(3, seed=7)
    for _ in range(5):
        with Device(host_board.port) as device:
            device.connect()
            np.testing.assert_array_equal(device.run(*x).outputs[0], fake_layers(*x)[2][0])


def test_a_count_taken_while_bytes_arrived_is_taken_again(host_board_binary: Path) -> None:
    x = fake_inputs(2, seed=8)
    with HostBoard(host_board_binary, {"TG_TEST_SLOW_MS": "600"}) as board, Device(board.port) as device:
        device.connect()
        batch = device.run(*x)
        assert device.link.retries > 0  # the first inference takes longer than the first time-out
    np.testing.assert_array_equal(batch.outputs[0], fake_layers(*x)[2][0])
    assert not batch.disturbed.any()


def test_baud_rate_is_changed_on_both_sides(host_board: HostBoard) -> None:
    x = fake_inputs(3, seed=9)
    with Device(host_board.port) as device:
        device.connect()
        assert device.set_baud(921_600)
        assert device.connect().baud == 921_600
        np.testing.assert_array_equal(device.run(*x).outputs[0], fake_layers(*x)[2][0])
        assert not device.set_baud(50)


def test_a_baud_rate_that_does_not_work_is_given_up_by_both(host_board_binary: Path) -> None:
    x = fake_inputs(3, seed=10)
    with HostBoard(host_board_binary, {"TG_TEST_DEAF_BAUD": "1"}) as board, Device(board.port) as device:
        device.connect()
        assert not device.set_baud(921_600)
        assert device.connect().baud == 115_200
        np.testing.assert_array_equal(device.run(*x).outputs[0], fake_layers(*x)[2][0])


INPUT_CRC_OF_NOTHING = INVOKE_REQUEST.pack(input_crc=0, first_layer=0, last_layer=2, output_bytes=0)
REFUSED = {
    "no such command": (99, b"", ErrorCode.COMMAND, None),
    "RUN too short": (Command.RUN, bytes(63), ErrorCode.LENGTH, None),
    "RUN too long": (Command.RUN, bytes(65), ErrorCode.LENGTH, None),
    "INVOKE before inputs": (Command.INVOKE, INPUT_CRC_OF_NOTHING, ErrorCode.INPUT, None),
    "INVOKE of a later layer": (
        Command.INVOKE,
        INVOKE_REQUEST.pack(input_crc=0, first_layer=1, last_layer=2, output_bytes=0),
        ErrorCode.ORDER,
        0,
    ),
    "INVOKE of no layer": (
        Command.INVOKE,
        INVOKE_REQUEST.pack(input_crc=0, first_layer=0, last_layer=3, output_bytes=0),
        ErrorCode.INDEX,
        None,
    ),
    "INVOKE with too much to answer": (
        Command.INVOKE,
        INVOKE_REQUEST.pack(input_crc=0, first_layer=0, last_layer=2, output_bytes=257),
        ErrorCode.RANGE,
        None,
    ),
    "WRITE_INPUT with a gap": (
        Command.WRITE_INPUT,
        WRITE_REQUEST.pack(offset=1, index=0) + b"x",
        ErrorCode.ORDER,
        0,
    ),
    "WRITE_INPUT beyond the end": (
        Command.WRITE_INPUT,
        WRITE_REQUEST.pack(offset=0, index=0) + bytes(61),
        ErrorCode.RANGE,
        None,
    ),
    "WRITE_INPUT of no input": (
        Command.WRITE_INPUT,
        WRITE_REQUEST.pack(offset=0, index=2) + b"x",
        ErrorCode.INDEX,
        None,
    ),
    "READ_OUTPUT before a run": (
        Command.READ_OUTPUT,
        READ_OUTPUT_REQUEST.pack(offset=0, count=1, index=0),
        ErrorCode.ORDER,
        0,
    ),
    "READ_LAYER of another layer": (
        Command.READ_LAYER,
        READ_LAYER_REQUEST.pack(offset=0, count=1, layer=1, output=0),
        ErrorCode.ORDER,
        0,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_with_code_and_layer(host_board: HostBoard, name: str) -> None:
    command, payload, code, layer = REFUSED[name]
    with Device(host_board.port) as device:
        device.connect()
        with pytest.raises(DeviceError) as caught:
            device.link.request(command, payload, patience_s=PATIENCE_S)  # type: ignore[arg-type]
        assert (caught.value.code, caught.value.layer) == (code, layer)
        x = fake_inputs(1, seed=11)
        np.testing.assert_array_equal(device.run(*x).outputs[0], fake_layers(*x)[2][0])


def test_inputs_that_changed_in_memory_are_refused(host_board: HostBoard) -> None:
    with Device(host_board.port) as device:
        device.connect()
        for index, size in enumerate((60, 4)):
            payload = WRITE_REQUEST.pack(offset=0, index=index) + bytes(size)
            device.link.request(Command.WRITE_INPUT, payload, patience_s=PATIENCE_S)
        with pytest.raises(DeviceError) as caught:
            device.link.request(Command.INVOKE, INPUT_CRC_OF_NOTHING, patience_s=PATIENCE_S)
        assert caught.value.code == ErrorCode.CRC


def test_output_beyond_its_end_is_refused(host_board: HostBoard) -> None:
    with Device(host_board.port) as device:
        device.connect()
        device.run(*fake_inputs(1, seed=12))
        for offset, count in ((0, 5), (4, 1), (5, 0), (0xFFFFFFFF, 2), (0, 0xFFFF)):
            payload = READ_OUTPUT_REQUEST.pack(offset=offset, count=count, index=0)
            with pytest.raises(DeviceError) as caught:
                device.link.request(Command.READ_OUTPUT, payload, patience_s=PATIENCE_S)
            assert caught.value.code == ErrorCode.RANGE
