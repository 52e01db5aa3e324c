# SPDX-License-Identifier: Apache-2.0
"""Frames that set settings, right and wrong, against the runtime under ASan and UBSan: nothing is half set.

A model in Python says after each frame what every word of the settings is and how the board answers.
"""

import random
import struct
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

from tests.device.host_board import SETTINGS, SOURCES, compile_runtime, fake_inputs
from tinyguard.device.framing import Frame, FrameReader, encode_frame
from tinyguard.device.protocol import (
    ERROR_REPLY,
    INVOKE_REQUEST,
    REPLY,
    SETTINGS_ENTRY,
    TELL_REPLY,
    TELL_REQUEST,
    WRITE_REQUEST,
    Command,
    ErrorCode,
    Settings,
)
from tinyguard.graph.settings import from_words, to_words

FRAMES = 20_000
LAYERS = 3
SESSION = 0xBEEF
FILE = [to_words(setting.kind, setting.value) for setting in SETTINGS]
X0, X1 = (array[0].tobytes() for array in fake_inputs(1, seed=1))


class BoardModel:
    """What a board should hold and answer."""

    def __init__(self) -> None:
        self.values = [list(words) for words in FILE]
        self.given: set[int] = set()
        self.layers_done = 0
        self.random = 0

    def draw(self) -> int:
        self.random = self.random + 0x9E3779B9 & 0xFFFFFFFF
        return self.random

    def answer(self, command: int, payload: bytes) -> tuple[int, bytes | None]:
        """The code, and the payload of the reply where it matters."""
        if command == Command.SETTINGS:
            return self._settings(payload)
        if command == Command.WRITE_INPUT:
            self.layers_done = 0
            return ErrorCode.OK, b""
        if command == Command.INVOKE:
            fields = INVOKE_REQUEST.unpack(payload)
            if fields["first_layer"] == 0:
                self._begin()
            self.layers_done = fields["last_layer"] + 1
        if command == Command.RUN:
            self._begin()
            self.layers_done = LAYERS
        return ErrorCode.OK, None

    def _begin(self) -> None:
        if 0 not in self.given:
            self.values[0] = [self.draw(), self.draw()]

    def _settings(self, payload: bytes) -> tuple[int, bytes | None]:
        if not payload:
            return ErrorCode.LENGTH, None
        if 0 < self.layers_done < LAYERS:
            return ErrorCode.ORDER, None
        what, rest = payload[0], payload[1:]
        if what == Settings.TELL:
            return self._tell(payload)
        if what == Settings.SET:
            return self._set(rest), b""
        if what == Settings.RESTORE:
            return self._restore(rest), b""
        return ErrorCode.INDEX, None

    def _tell(self, payload: bytes) -> tuple[int, bytes | None]:
        if len(payload) != TELL_REQUEST.size:
            return ErrorCode.LENGTH, None
        fields = TELL_REQUEST.unpack(payload)
        index, first, count = fields["index"], fields["first"], fields["words"]
        if index >= len(SETTINGS):
            return ErrorCode.INDEX, None
        if first + count > len(FILE[index]):
            return ErrorCode.RANGE, None
        drawn = index == 0 and index not in self.given
        if drawn:
            self.draw()  # the board tries whether it can
        kind = ("bool", "int32", "uint64", "int32[]").index(SETTINGS[index].kind) + 1
        head = TELL_REPLY.pack(
            setting_count=len(SETTINGS), count=len(SETTINGS[index].value), kind=kind, drawn=int(drawn)
        )
        return ErrorCode.OK, head + struct.pack(f"<{count}I", *self.values[index][first : first + count])

    def _set(self, rest: bytes) -> int:
        found = []
        while rest:
            if len(rest) < SETTINGS_ENTRY.size:
                return ErrorCode.LENGTH
            index, count = SETTINGS_ENTRY.unpack(rest).values()
            rest = rest[SETTINGS_ENTRY.size :]
            if index >= len(SETTINGS):
                return ErrorCode.INDEX
            if count != len(FILE[index]) or len(rest) < 4 * count:
                return ErrorCode.LENGTH
            words = list(struct.unpack_from(f"<{count}I", rest))
            rest = rest[4 * count :]
            entries = from_words(SETTINGS[index].kind, words)
            limits = SETTINGS[index].ranges
            if not all(low <= one <= high for one, (low, high) in zip(entries, limits, strict=True)):
                return ErrorCode.RANGE
            found.append((index, words))
        for index, words in found:
            self.values[index] = words
            self.given.add(index)
        return ErrorCode.OK

    def _restore(self, rest: bytes) -> int:
        if len(rest) % 2:
            return ErrorCode.LENGTH
        indices = [index for (index,) in struct.iter_unpack("<H", rest)] or list(range(len(SETTINGS)))
        if any(index >= len(SETTINGS) for index in indices):
            return ErrorCode.INDEX
        for index in indices:
            self.values[index] = list(FILE[index])
            self.given.discard(index)
        return ErrorCode.OK


def _entry(draws: random.Random, index: int) -> bytes:
    """A setting with values in range, or now and then beyond it."""
    entries = []
    for low, high in SETTINGS[index].ranges:
        near = [low, high, draws.randint(low, high)]
        entries.append(draws.choice(near if draws.random() < 0.97 else [low - 1, high + 1]))
    words = [word & 0xFFFFFFFF for word in to_words(SETTINGS[index].kind, entries)]
    return SETTINGS_ENTRY.pack(index=index, words=len(words)) + struct.pack(f"<{len(words)}I", *words)


def _set_frame(draws: random.Random) -> bytes:
    chosen = draws.choices(range(len(SETTINGS)), k=draws.randint(0, 5))
    payload = bytes([Settings.SET]) + b"".join(_entry(draws, index) for index in chosen)
    damage = draws.randint(0, 11)
    if damage == 0:
        return payload[: draws.randint(0, len(payload))]
    if damage == 1:
        return payload + draws.randbytes(draws.randint(1, 6))
    if damage == 2 and len(payload) > 2:
        position = draws.randrange(1, len(payload))
        return payload[:position] + draws.randbytes(1) + payload[position + 1 :]
    return payload


def _requests(draws: random.Random, layers_done: int) -> list[tuple[int, bytes]]:
    """What is asked next: mostly settings, and inferences, whole and layer by layer."""
    kind = draws.random()
    if kind < 0.75:
        return [(Command.SETTINGS, _set_frame(draws))]
    if kind < 0.82:
        index, first, count = draws.randint(0, len(SETTINGS)), draws.randint(0, 3), draws.randint(0, 9)
        request = TELL_REQUEST.pack(what=Settings.TELL, index=index, first=first, words=count)
        return [(Command.SETTINGS, request)]
    if kind < 0.90:
        names = draws.choices(range(len(SETTINGS) + (draws.random() < 0.2)), k=draws.randint(0, 3))
        tail = b"\0" * (draws.random() < 0.1)
        return [(Command.SETTINGS, bytes([Settings.RESTORE]) + struct.pack(f"<{len(names)}H", *names) + tail)]
    if kind < 0.93:
        return [(Command.SETTINGS, draws.randbytes(draws.randint(0, 12)))]
    if kind < 0.97:
        return [(Command.RUN, X0 + X1)]
    if 0 < layers_done < LAYERS:
        return [(Command.INVOKE, _invoke(layers_done))]
    writes = [
        (Command.WRITE_INPUT, WRITE_REQUEST.pack(offset=0, index=index) + data)
        for index, data in enumerate((X0, X1))
    ]
    return [*writes, (Command.INVOKE, _invoke(0))]


def _invoke(layer: int) -> bytes:
    crc = zlib.crc32(X0 + X1) if layer == 0 else 0
    return INVOKE_REQUEST.pack(input_crc=crc, first_layer=layer, last_layer=layer, output_bytes=0)


def _run(binary: Path, wires: Sequence[bytes]) -> list[tuple[list[int], Frame]]:
    sent = b"".join(struct.pack("<H", len(wire)) + wire for wire in wires)
    done = subprocess.run([binary], input=sent, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    words = sum(map(len, FILE))
    found, position = [], 0
    while position < len(done.stdout):
        area = list(struct.unpack_from(f"<{words}I", done.stdout, position))
        position += 4 * words
        (length,) = struct.unpack_from("<H", done.stdout, position)
        (frame,) = FrameReader().feed(done.stdout[position + 2 : position + 2 + length])
        assert frame is not None
        found.append((area, frame))
        position += 2 + length
    return found


def test_twenty_thousand_frames_leave_nothing_half_set(tmp_path: Path) -> None:
    binary = compile_runtime(
        tmp_path / "board", [SOURCES / "settings_frames.c", SOURCES / "fake_model.c"], main=False
    )
    draws, model = random.Random(7), BoardModel()
    wires = [encode_frame(Frame(Command.HELLO, 0, 0, SESSION, b"\2\0"))]
    expected: list[tuple[list[list[int]], int, bytes | None]] = []
    frames = 0
    while frames < FRAMES:
        for command, payload in _requests(draws, model.layers_done):
            frames += command == Command.SETTINGS
            code, reply = model.answer(command, payload)
            expected.append(([list(words) for words in model.values], code, reply))
            wires.append(encode_frame(Frame(command, 0, len(wires) & 0xFFFF, SESSION, payload)))
    (_, greeting), *answers = _run(binary, wires)
    assert greeting.command == REPLY | Command.HELLO
    seen = dict.fromkeys(ErrorCode, 0)
    for number, ((area, frame), (values, code, reply)) in enumerate(zip(answers, expected, strict=True)):
        assert area == [word for words in values for word in words], number
        error = frame.command == REPLY | Command.ERROR
        assert (ERROR_REPLY.unpack(frame.payload)["code"] if error else ErrorCode.OK) == code, number
        assert error or reply is None or frame.payload == reply, number
        seen[ErrorCode(code)] += 1
    for code in ("OK", "LENGTH", "INDEX", "RANGE", "ORDER"):
        assert seen[ErrorCode[code]] > 500, (code, seen)
