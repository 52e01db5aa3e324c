# SPDX-License-Identifier: Apache-2.0
"""What the client does with answers that honest firmware does not give."""

import pytest

from tests.device.scripted import ScriptedBoard, reply_to
from tinyguard.device.client import Device
from tinyguard.device.failures import FaultError, NoReplyError, WrongVersionError
from tinyguard.device.framing import Frame, encode_frame
from tinyguard.device.protocol import ERROR_REPLY, NO_LAYER, REPLY, Command, ErrorCode
from tinyguard.errors import TinyguardError


def test_another_version_of_the_protocol_is_named() -> None:
    def script(frame: Frame) -> bytes:
        return reply_to(frame, (7).to_bytes(2, "little") + bytes(30))

    with (
        ScriptedBoard(script) as board,
        Device(board.port) as device,
        pytest.raises(
            WrongVersionError,
            match=r"version 7, newer than this tinyguard's 2: flash again: tinyguard flash MODEL --board B$",
        ),
    ):
        device.connect()


def test_stale_answers_are_not_taken() -> None:
    def script(frame: Frame) -> bytes:
        late = [
            Frame(REPLY | frame.command, 0, frame.sequence, frame.session ^ 1, b"session"),
            Frame(REPLY | frame.command, 0, frame.sequence - 1 & 0xFFFF, frame.session, b"sequence"),
            Frame(REPLY | Command.HELLO, 0, frame.sequence, frame.session, b"command"),
            frame,
        ]
        return b"".join(map(encode_frame, late)) + reply_to(frame, b"right")

    with ScriptedBoard(script) as board, Device(board.port) as device:
        assert device.link.request(Command.STATUS, patience_s=3.0) == b"right"


def test_text_of_another_firmware_is_no_answer() -> None:
    with (
        ScriptedBoard(lambda frame: b"login: \r\n") as board,
        Device(board.port) as device,
        pytest.raises(NoReplyError, match="no reply"),
    ):
        device.connect(patience_s=0.4)


def test_broken_frames_alone_are_told_from_silence() -> None:
    with (
        ScriptedBoard(lambda frame: b"\0garbage\0") as board,
        Device(board.port) as device,
        pytest.raises(NoReplyError, match=r"only broken frames \(\d+ CRC errors in 0 s\).*115200 baud"),
    ):
        device.connect(patience_s=0.4)


def test_a_board_that_always_forgets_is_given_up() -> None:
    def script(frame: Frame) -> bytes:
        if frame.command == Command.HELLO:
            return reply_to(frame, bytes([2, 0, 64, 0, 1, 0, 1, 0, 1, 0]))
        error = ERROR_REPLY.pack(code=ErrorCode.SESSION, command=frame.command, layer=NO_LAYER, detail=0)
        return reply_to(frame, error, Command.ERROR)

    with (
        ScriptedBoard(script) as board,
        Device(board.port) as device,
        pytest.raises(TinyguardError, match="keeps forgetting the session"),
    ):
        device.connect()


@pytest.mark.parametrize("payload", [b"", b"\1", b"\2\0", bytes([2, 0, 64, 0, 1, 0, 1, 0, 1])])
def test_answers_of_the_wrong_length_are_refused(payload: bytes) -> None:
    with (
        ScriptedBoard(lambda frame: reply_to(frame, payload)) as board,
        Device(board.port) as device,
        pytest.raises(TinyguardError, match=r"answered HELLO with something else|protocol version"),
    ):
        device.connect()


def test_an_error_that_is_too_short_is_refused() -> None:
    with (
        ScriptedBoard(lambda frame: reply_to(frame, b"\1", Command.ERROR)) as board,
        Device(board.port) as device,
        pytest.raises(TinyguardError, match="something else"),
    ):
        device.connect()


def test_an_older_protocol_says_flash_again() -> None:
    def script(frame: Frame) -> bytes:
        return reply_to(frame, bytes([1, 0, 64, 0, 1, 0, 1, 0, 1, 0]))

    with (
        ScriptedBoard(script) as board,
        Device(board.port) as device,
        pytest.raises(
            WrongVersionError, match=r"version 1, older than this tinyguard's 2: flash again: "
        ) as e,
    ):
        device.connect()
    assert "\n" not in str(e.value)


def test_a_board_that_reports_a_fault_is_not_asked_again() -> None:
    fault = encode_frame(Frame(REPLY | Command.FAULT, 0, 0, 0, b"\x0b\x16"))
    with (
        ScriptedBoard(lambda frame: fault) as board,
        Device(board.port) as device,
        pytest.raises(FaultError, match=r"stopped with a fault \(0b 16\): reset it, or flash again"),
    ):
        device.connect(patience_s=0.4)
