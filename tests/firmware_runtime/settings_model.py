# SPDX-License-Identifier: Apache-2.0
"""A board's settings in Python: what every word of them is after each frame, right or wrong, and what the
board answers. `settings_frames.c` is the runtime that has to do the same.
"""

from __future__ import annotations

import random
import struct
import subprocess
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyguard.device.framing import Frame, FrameReader, encode_frame
from tinyguard.device.protocol import (
    ERROR_REPLY,
    INVOKE_REPLY,
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
from tinyguard.graph import Setting
from tinyguard.graph.settings import from_words, to_words

_SESSION = 0xBEEF
_RANDOM_STEP = 0x9E3779B9  # settings_frames.c draws so
_WIRE_KIND = {kind: code for code, kind in enumerate(("bool", "int32", "uint64", "int32[]"), start=1)}
Values = dict[str, tuple[int, ...]]
Answer = tuple[int, bytes | None]  # the code, and the payload of the reply where it matters


@dataclass(frozen=True)
class Network:
    """What the board runs: its settings, its number of layers, and samples, the bytes of each input.

    `outputs` gives the bytes that all outputs have under some values of the settings for a sample by its
    number; None where only settings are looked at.
    """

    settings: tuple[Setting, ...]
    layers: int
    samples: Sequence[Sequence[bytes]]
    outputs: Callable[[Values, int], bytes] | None = None

    @property
    def file(self) -> list[list[int]]:
        """The words of each setting's value in the file."""
        return [to_words(setting.kind, setting.value) for setting in self.settings]


class BoardModel:
    """What a board should hold and answer."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.file = network.file
        self.values = [list(words) for words in self.file]
        self.given: set[int] = set()
        self.layers_done = 0
        self.random = 0

    def answer(self, command: int, payload: bytes) -> Answer:
        """Carry out a frame that is well-formed, whatever is in it."""
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
            return ErrorCode.OK, None
        assert command == Command.RUN
        self._begin()
        self.layers_done = self.network.layers
        return ErrorCode.OK, self._run(payload)

    def _run(self, payload: bytes) -> bytes | None:
        if self.network.outputs is None:
            return None
        named = zip(self.network.settings, self.values, strict=True)
        values = {setting.name: from_words(setting.kind, words) for setting, words in named}
        number = [b"".join(sample) for sample in self.network.samples].index(payload)
        return INVOKE_REPLY.pack(count=0, flags=0) + self.network.outputs(values, number)

    def _is_drawn(self, index: int) -> bool:
        return self.network.settings[index].drawn and index not in self.given

    def _draw(self) -> int:
        self.random = self.random + _RANDOM_STEP & 0xFFFFFFFF
        return self.random

    def _begin(self) -> None:
        for index in filter(self._is_drawn, range(len(self.file))):
            self.values[index] = [self._draw(), self._draw()]

    def _settings(self, payload: bytes) -> Answer:
        if not payload:
            return ErrorCode.LENGTH, None
        if 0 < self.layers_done < self.network.layers:
            return ErrorCode.ORDER, None
        what, rest = payload[0], payload[1:]
        if what == Settings.TELL:
            return self._tell(payload)
        if what == Settings.SET:
            return self._set(rest), b""
        if what == Settings.RESTORE:
            return self._restore(rest), b""
        return ErrorCode.INDEX, None

    def _tell(self, payload: bytes) -> Answer:
        if len(payload) != TELL_REQUEST.size:
            return ErrorCode.LENGTH, None
        fields = TELL_REQUEST.unpack(payload)
        index, first, count = fields["index"], fields["first"], fields["words"]
        if index >= len(self.file):
            return ErrorCode.INDEX, None
        if first + count > len(self.file[index]):
            return ErrorCode.RANGE, None
        drawn = self._is_drawn(index)
        if drawn:
            self._draw()  # the board tries whether it can
        setting = self.network.settings[index]
        head = TELL_REPLY.pack(
            setting_count=len(self.file),
            count=len(setting.value),
            kind=_WIRE_KIND[setting.kind],
            drawn=int(drawn),
        )
        return ErrorCode.OK, head + struct.pack(f"<{count}I", *self.values[index][first : first + count])

    def _set(self, rest: bytes) -> int:
        found = []
        while rest:
            if len(rest) < SETTINGS_ENTRY.size:
                return ErrorCode.LENGTH
            index, count = SETTINGS_ENTRY.unpack(rest).values()
            rest = rest[SETTINGS_ENTRY.size :]
            if index >= len(self.file):
                return ErrorCode.INDEX
            if count != len(self.file[index]) or len(rest) < 4 * count:
                return ErrorCode.LENGTH
            words = list(struct.unpack_from(f"<{count}I", rest))
            rest = rest[4 * count :]
            setting = self.network.settings[index]
            entries = zip(from_words(setting.kind, words), setting.ranges, strict=True)
            if not all(low <= entry <= high for entry, (low, high) in entries):
                return ErrorCode.RANGE
            found.append((index, words))
        for index, words in found:
            self.values[index] = words
            self.given.add(index)
        return ErrorCode.OK

    def _restore(self, rest: bytes) -> int:
        if len(rest) % 2:
            return ErrorCode.LENGTH
        indices = [index for (index,) in struct.iter_unpack("<H", rest)] or list(range(len(self.file)))
        if any(index >= len(self.file) for index in indices):
            return ErrorCode.INDEX
        for index in indices:
            self.values[index] = list(self.file[index])
            self.given.discard(index)
        return ErrorCode.OK


def _entry(draws: random.Random, index: int, setting: Setting) -> bytes:
    """A setting with values in range, or now and then beyond it, or with more or fewer than it has."""
    entries = []
    for low, high in setting.ranges:
        near = [low, high, draws.randint(low, high)]
        entries.append(draws.choice(near if draws.random() < 0.97 else [low - 1, high + 1]))
    words = [word & 0xFFFFFFFF for word in to_words(setting.kind, entries)]
    if draws.random() < 0.03:
        words = draws.choice([words[1:], [*words, words[-1]]])
    return SETTINGS_ENTRY.pack(index=index, words=len(words)) + struct.pack(f"<{len(words)}I", *words)


def _set_frame(draws: random.Random, settings: Sequence[Setting]) -> bytes:
    chosen = draws.choices(range(len(settings)), k=draws.randint(0, 5))
    entries = (_entry(draws, index, settings[index]) for index in chosen)
    payload = bytes([Settings.SET]) + b"".join(entries)
    damage = draws.randint(0, 11)
    if damage == 0:
        return payload[: draws.randint(0, len(payload))]
    if damage == 1:
        return payload + draws.randbytes(draws.randint(1, 6))
    if damage == 2 and len(payload) > 2:
        position = draws.randrange(1, len(payload))
        return payload[:position] + draws.randbytes(1) + payload[position + 1 :]
    return payload


def _requests(draws: random.Random, network: Network, layers_done: int) -> list[tuple[int, bytes]]:
    """What is asked next: mostly settings, and inferences, whole and layer by layer."""
    kind, count = draws.random(), len(network.settings)
    if kind < 0.75:
        return [(Command.SETTINGS, _set_frame(draws, network.settings))]
    if kind < 0.82:
        index, first, words = draws.randint(0, count), draws.randint(0, 3), draws.randint(0, 9)
        request = TELL_REQUEST.pack(what=Settings.TELL, index=index, first=first, words=words)
        return [(Command.SETTINGS, request)]
    if kind < 0.90:
        names = draws.choices(range(count + (draws.random() < 0.2)), k=draws.randint(0, 3))
        tail = b"\0" * (draws.random() < 0.1)
        return [(Command.SETTINGS, bytes([Settings.RESTORE]) + struct.pack(f"<{len(names)}H", *names) + tail)]
    if kind < 0.93:
        return [(Command.SETTINGS, draws.randbytes(draws.randint(0, 12)))]
    sample = draws.choice(network.samples)
    if kind < 0.97:
        return [(Command.RUN, b"".join(sample))]
    if 0 < layers_done < network.layers:
        return [(Command.INVOKE, _invoke(layers_done, sample))]
    writes = [
        (Command.WRITE_INPUT, WRITE_REQUEST.pack(offset=0, index=index) + data)
        for index, data in enumerate(sample)
    ]
    return [*writes, (Command.INVOKE, _invoke(0, sample))]


def _invoke(layer: int, sample: Sequence[bytes]) -> bytes:
    crc = zlib.crc32(b"".join(sample)) if layer == 0 else 0
    return INVOKE_REQUEST.pack(input_crc=crc, first_layer=layer, last_layer=layer, output_bytes=0)


def _run(binary: Path, wires: Sequence[bytes], words: int) -> list[tuple[list[int], Frame]]:
    """For each frame all words of the settings after it, and the answer."""
    sent = b"".join(struct.pack("<H", len(wire)) + wire for wire in wires)
    done = subprocess.run([binary], input=sent, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
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


def check_frames(binary: Path, network: Network, count: int, seed: int) -> tuple[dict[ErrorCode, int], int]:
    """Send `count` frames about settings, and inferences between them; assert that board and model agree.

    How often each code was answered, and how many whole inferences.
    """
    draws, model = random.Random(seed), BoardModel(network)
    wires = [encode_frame(Frame(Command.HELLO, 0, 0, _SESSION, b"\2\0"))]
    expected: list[tuple[list[int], int, bytes | None]] = []
    frames = runs = 0
    while frames < count:
        for command, payload in _requests(draws, network, model.layers_done):
            frames += command == Command.SETTINGS
            runs += command == Command.RUN
            code, reply = model.answer(command, payload)
            expected.append(([word for words in model.values for word in words], code, reply))
            wires.append(encode_frame(Frame(command, 0, len(wires) & 0xFFFF, _SESSION, payload)))
    (_, greeting), *answers = _run(binary, wires, sum(map(len, network.file)))
    assert greeting.command == REPLY | Command.HELLO
    seen = dict.fromkeys(ErrorCode, 0)
    for number, ((area, frame), (values, code, reply)) in enumerate(zip(answers, expected, strict=True)):
        assert area == values, number
        error = frame.command == REPLY | Command.ERROR
        assert (ERROR_REPLY.unpack(frame.payload)["code"] if error else ErrorCode.OK) == code, number
        assert error or reply is None or frame.payload == reply, number
        seen[ErrorCode(code)] += 1
    return seen, runs
