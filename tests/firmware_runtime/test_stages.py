# SPDX-License-Identifier: Apache-2.0
"""The runtime with a network in stages, under ASan and UBSan: whole inferences stop, ranges never do."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.device.host_board import SETTINGS, HostBoard, compile_host_board, fake_inputs, fake_layers
from tinyguard.device.client import Device
from tinyguard.device.failures import DeviceError
from tinyguard.device.protocol import (
    INVOKE_REPLY,
    INVOKE_REQUEST,
    READ_LAYER_REQUEST,
    READ_OUTPUT_REQUEST,
    WRITE_REQUEST,
    Command,
    ErrorCode,
)

LEVEL = -3  # the file's
OUTPUT_BYTES = 4 + 60


@pytest.fixture(scope="module", params=[60, 3000], ids=["RUN", "INVOKE"])
def x(request: pytest.FixtureRequest) -> int:
    """Bytes of the first input: a sample that fits one frame, or that travels in pieces."""
    size: int = request.param
    return size


@pytest.fixture(scope="module")
def board_binary(x: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_host_board(tmp_path_factory.mktemp("staged") / "board", x=x, stages=True)


@pytest.fixture
def device(board_binary: Path) -> Iterator[Device]:
    with HostBoard(board_binary) as board, Device(board.port) as device:
        device.connect()
        device.declare(SETTINGS)
        yield device


def _assert_answers(device: Device, x: int, level: int, seed: int) -> int:
    """How many of 20 samples were answered early."""
    inputs = fake_inputs(20, seed, x)
    batch = device.run(*inputs)
    layers = fake_layers(*inputs, level=level)
    early = layers[0][0][:, 0] >= level
    for ours, theirs in zip(batch.outputs, layers[2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert batch.counts.tolist() == np.where(early, x, 6 * x).tolist()
    return int(early.sum())


def test_a_whole_inference_ends_with_the_stage_that_answers(device: Device, x: int) -> None:
    assert 0 < _assert_answers(device, x, LEVEL, seed=1) < 20
    device.set({"level": 40})
    assert 0 < _assert_answers(device, x, 40, seed=2) < 20
    device.set({"level": 1000})
    assert _assert_answers(device, x, 1000, seed=2) == 0
    device.restore("level")
    assert 0 < _assert_answers(device, x, LEVEL, seed=3) < 20


def test_layer_by_layer_every_one_is_run_and_read(device: Device, x: int) -> None:
    inputs = fake_inputs(20, 4, x)
    for row in range(20):
        sample = [array[row : row + 1] for array in inputs]
        runs = list(device.run_layers(*(array[0] for array in sample)))
        assert [run.count for run in runs] == [x, 2 * x, 3 * x]
        for run, layer in zip(runs, fake_layers(*sample, level=LEVEL), strict=True):
            for ours, theirs in zip(run.outputs, layer, strict=True):
                np.testing.assert_array_equal(ours, theirs)


class _Frames:
    """Single commands about one sample, which is answered after the first stage or after the last."""

    def __init__(self, device: Device, x: int, early: bool) -> None:
        self.device, self.x = device, x
        samples = fake_inputs(20, 5, x)
        first = fake_layers(*samples)[0][0][:, 0]
        row = int(np.flatnonzero((first >= LEVEL) == early)[0])
        self.sample = [array[row : row + 1] for array in samples]
        outputs = fake_layers(*self.sample, level=LEVEL)[2]
        self.outputs = [output.astype(dtype) for output, dtype in zip(outputs, ("<i4", "i1"), strict=True)]

    def ask(self, command: Command, payload: bytes) -> bytes:
        return self.device.link.request(command, payload, patience_s=5.0)

    def write(self) -> None:
        for index, array in enumerate(self.sample):
            data = array.tobytes()
            for offset in range(0, len(data), 256):
                head = WRITE_REQUEST.pack(offset=offset, index=index)
                self.ask(Command.WRITE_INPUT, head + data[offset : offset + 256])

    def invoke(self, first: int, last: int) -> tuple[int, bytes]:
        """Instructions, and the first bytes of the outputs."""
        crc = zlib.crc32(b"".join(array.tobytes() for array in self.sample)) if first == 0 else 0
        request = INVOKE_REQUEST.pack(
            input_crc=crc, first_layer=first, last_layer=last, output_bytes=OUTPUT_BYTES
        )
        reply = self.ask(Command.INVOKE, request)
        return INVOKE_REPLY.unpack(reply)["count"] // 2, reply[INVOKE_REPLY.size :]

    def read(self, index: int) -> bytes:
        return self.ask(Command.READ_OUTPUT, READ_OUTPUT_REQUEST.pack(offset=0, count=4, index=index))

    def read_layer(self, layer: int) -> bytes:
        request = READ_LAYER_REQUEST.pack(offset=0, count=4, layer=layer, output=0)
        return self.ask(Command.READ_LAYER, request)

    def refused(self, ask: object, *arguments: int) -> ErrorCode:
        with pytest.raises(DeviceError) as caught:
            ask(*arguments)  # type: ignore[operator]
        return ErrorCode(caught.value.code)


@pytest.mark.parametrize("early", [True, False], ids=["early", "late"])
def test_ranges_that_make_up_the_whole_stop_nowhere(device: Device, x: int, early: bool) -> None:
    frames = _Frames(device, x, early)
    whole = b"".join(output.tobytes() for output in frames.outputs)[:OUTPUT_BYTES]
    for ranges in ([(0, 0), (1, 2)], [(0, 1), (2, 2)], [(0, 0), (1, 1), (2, 2)]):
        frames.write()
        for first, last in ranges:
            count, outputs = frames.invoke(first, last)
            assert count == sum((layer + 1) * x for layer in range(first, last + 1))
            assert outputs == (whole if last == 2 else b"")
            if last < 2:
                assert frames.refused(frames.read, 0) == ErrorCode.ORDER
            assert len(frames.read_layer(last)) == 4
        assert frames.read(0) == frames.outputs[0].tobytes()


@pytest.mark.parametrize("early", [True, False], ids=["early", "late"])
def test_what_can_be_asked_after_a_whole_inference(device: Device, x: int, early: bool) -> None:
    frames = _Frames(device, x, early)
    frames.write()
    count, outputs = frames.invoke(0, 2)
    assert count == (x if early else 6 * x)
    assert outputs == b"".join(output.tobytes() for output in frames.outputs)[:OUTPUT_BYTES]
    assert [frames.read(index) for index in (0, 1)] == [x.tobytes()[:4] for x in frames.outputs]
    assert frames.read_layer(2) == frames.outputs[0].tobytes()
    assert frames.refused(frames.read_layer, 0) == ErrorCode.ORDER
    assert frames.refused(frames.invoke, 1, 2) == ErrorCode.ORDER
    assert frames.refused(frames.invoke, 0, 2) == ErrorCode.ORDER
    assert device.tell("level").value == (LEVEL,)
    frames.write()
    assert frames.invoke(0, 2) == (count, outputs)
