# SPDX-License-Identifier: Apache-2.0
"""A line with faults: between a PTY that it opens for the host and the board's port. Seeded."""

import os
import random
import select
import threading
import time
import tty
from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """Probabilities a byte (drop, corrupt) and a frame (duplicate, reorder); silences."""

    drop: float = 0.0
    corrupt: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    silence_every_frames: int = 0
    silence_s: float = 0.0
    seed: int = 0


class _Direction:
    """One way through the line. Frames are told apart by their delimiter before they are damaged."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._random = random.Random(seed)
        self._partial = bytearray()
        self._held: list[tuple[int, bytes]] = []  # how many frames shall overtake it, and the frame
        self._previous = b""
        self.frames = 0

    def pass_on(self, data: bytes) -> bytes:
        self._partial += data
        out = bytearray()
        while (end := self._partial.find(0, 1)) >= 0:
            frame = bytes(self._partial[: end + 1])
            del self._partial[: end + 1]
            out += self._frame(frame)
        return bytes(out)

    def release(self) -> bytes:
        """The rest of a frame that was cut short: the line was quiet."""
        out = self._damage(bytes(self._partial))
        self._partial.clear()
        return out

    def _frame(self, frame: bytes) -> bytes:
        self.frames += 1
        out = [frame]
        if self._random.random() < self._faults.duplicate:
            out.append(frame)
        if self._random.random() < self._faults.duplicate:
            out.append(self._previous)  # a late one
        self._previous = frame
        if self._random.random() < self._faults.reorder:
            self._held += [(self._random.randint(1, 3), held) for held in out]
            return b""
        out += [held for left, held in self._held if left == 1]
        self._held = [(left - 1, held) for left, held in self._held if left > 1]
        return b"".join(map(self._damage, out))

    def _damage(self, frame: bytes) -> bytes:
        out = bytearray()
        for byte in frame:
            if self._random.random() < self._faults.drop:
                continue
            if self._random.random() < self._faults.corrupt:
                byte ^= self._random.randrange(1, 256)
            out.append(byte)
        return bytes(out)


class Proxy:
    """Runs in a thread; `port` is the host's end. `mute()` silences the line for a while."""

    _QUIET_S = 0.005

    def __init__(self, board_port: str, faults: Faults) -> None:
        self._faults = faults
        self._board = os.open(board_port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._board)
        self._line, self._host = os.openpty()
        tty.setraw(self._host)
        self.port = os.ttyname(self._host)
        self.to_board = _Direction(faults, 2 * faults.seed)
        self.to_host = _Direction(faults, 2 * faults.seed + 1)
        self.silences = 0
        self._mute_until = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        for descriptor in (self._board, self._line, self._host):
            os.close(descriptor)

    def mute(self, seconds: float) -> None:
        """Everything that arrives in the next `seconds` is lost."""
        self._mute_until = time.monotonic() + seconds
        self.silences += 1

    def _work(self) -> None:
        next_silence = self._faults.silence_every_frames
        while not self._stopping.is_set():
            ready, _, _ = select.select([self._line, self._board], [], [], self._QUIET_S)
            for source, sink, way in (
                (self._line, self._board, self.to_board),
                (self._board, self._line, self.to_host),
            ):
                try:
                    out = way.pass_on(os.read(source, 65536)) if source in ready else b""
                    if not ready:
                        out = way.release()
                    if time.monotonic() >= self._mute_until:
                        _write_all(sink, out)
                except OSError:
                    self._stopping.wait(0.01)
            frames = self.to_board.frames
            if next_silence and frames >= next_silence:
                next_silence = frames + self._faults.silence_every_frames
                self.mute(self._faults.silence_s)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [], 1.0)
