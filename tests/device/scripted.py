# SPDX-License-Identifier: Apache-2.0
"""A board made of a Python function, for what real firmware does not say."""

import os
import select
import threading
import tty
from collections.abc import Callable

from tinyguard.device.framing import Frame, FrameReader, encode_frame
from tinyguard.device.protocol import REPLY


class ScriptedBoard:
    """Answers each good frame with the bytes that `script(frame)` returns."""

    def __init__(self, script: Callable[[Frame], bytes]) -> None:
        self._script = script
        self._board_end, self._host_end = os.openpty()
        tty.setraw(self._host_end)
        self.port = os.ttyname(self._host_end)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "ScriptedBoard":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        os.close(self._board_end)
        os.close(self._host_end)

    def _work(self) -> None:
        reader = FrameReader()
        while not self._stopping.is_set():
            if not select.select([self._board_end], [], [], 0.01)[0]:
                continue
            for frame in reader.feed(os.read(self._board_end, 65536)):
                if frame is not None:
                    os.write(self._board_end, self._script(frame))


def reply_to(frame: Frame, payload: bytes, command: int | None = None) -> bytes:
    """An answer in order."""
    answer = frame.command if command is None else command
    return encode_frame(Frame(REPLY | answer, frame.attempt, frame.sequence, frame.session, payload))
