# SPDX-License-Identifier: Apache-2.0
"""One request, one reply, over a line that may lose, break, repeat and reorder what it carries."""

import os
import time
from collections.abc import Hashable

from tinyguard.device.failures import (
    DeviceError,
    FaultError,
    NonsenseError,
    NoReplyError,
    SessionLostError,
    ShrinkError,
)
from tinyguard.device.framing import Frame, FrameReader, encode_frame
from tinyguard.device.pace import ChunkSize, Patience
from tinyguard.device.protocol import CHUNK_MIN, ERROR_REPLY, REPLY, Command, ErrorCode
from tinyguard.device.transport import Transport

_FRAME_OVERHEAD_BYTES = 15
_GRACE_S = 0.003
_LAST_CALL_S = 1.0
_UNKNOWN_INFERENCE_S = 120.0
_INFERENCE_S = 10.0
_INFERENCES = (Command.INVOKE, Command.RUN)


class Link:
    """Requests over a transport. `retries` and `broken_frames` count what the line cost."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.chunk = ChunkSize(CHUNK_MIN)
        self.retries = 0
        self.broken_frames = 0
        self._patience = Patience()
        self._reader = FrameReader()
        self.open_session()

    @property
    def port(self) -> str:
        return self.transport.port

    def open_session(self) -> None:
        """A new session id, so that nothing meant for an earlier one is taken for an answer."""
        self._session = int.from_bytes(os.urandom(4), "little") or 1
        self._sequence = int.from_bytes(os.urandom(2), "little")

    def allow_chunk(self, chunk_bytes: int) -> None:
        """How much a frame of this board may carry."""
        self.chunk = ChunkSize(chunk_bytes)

    def inference_patience_s(self, command: Command, kind: Hashable = None) -> float:
        """How long an inference may take: long before the first, then many times what it took."""
        latency_s = self._patience.latency_s((command, kind))
        return _UNKNOWN_INFERENCE_S if latency_s is None else max(_INFERENCE_S, 20 * latency_s)

    def request(
        self,
        command: Command,
        payload: bytes = b"",
        *,
        patience_s: float,
        kind: Hashable = None,
        data_bytes: int = 0,
        reply_bytes: int = 16,
    ) -> bytes:
        """Ask until there is an answer; returns its payload.

        `data_bytes` is the part of request or reply that could be smaller, `reply_bytes` what to expect,
        `kind` tells requests of different duration apart. Raises ShrinkError when `data_bytes` has become
        more than a chunk, SessionLostError, DeviceError, FaultError, PortVanishedError, and
        NoReplyError after `patience_s`.
        """
        self._sequence = (self._sequence + 1) & 0xFFFF
        kind = (command, kind)
        inference = command in _INFERENCES
        started = time.monotonic()
        broken_before = self.broken_frames
        sent_at: list[float] = []
        silences = 0
        while True:
            frame = Frame(command, len(sent_at) & 0xFF, self._sequence, self._session, payload)
            encoded = encode_frame(frame)
            wire_s = self._patience.wire_s(
                len(encoded) + reply_bytes + _FRAME_OVERHEAD_BYTES, self.transport.baud
            )
            sent_at.append(time.monotonic())
            wait_s = self._patience.timeout_s(kind, inference, silences) + wire_s
            arrived = self.transport.write(encoded, wait_s)
            reply, heard = self._await(frame, arrived, sent_at[-1] + wait_s)
            if reply is not None:
                attempt = self._attempt_answered(reply, len(sent_at))
                self._patience.learn(kind, time.monotonic() - sent_at[attempt] - wire_s)
                self.chunk.succeeded(len(sent_at))
                return self._payload(reply)
            self.retries += 1
            silences = 0 if heard else silences + 1
            if self.chunk.failed(data_bytes, len(sent_at), heard):
                raise ShrinkError
            if time.monotonic() - started > patience_s:
                raise self._no_reply(patience_s, self.broken_frames - broken_before)

    def _await(self, request: Frame, arrived: bytes, deadline: float) -> tuple[Frame | None, bool]:
        """The reply if it comes, and whether anything was heard. A broken frame ends the waiting early."""
        heard = False
        last_call = deadline + _LAST_CALL_S
        while True:
            frames = self._reader.feed(arrived)
            for frame in frames:
                if frame is not None and _answers(frame, request):
                    return frame, True
                if frame is not None and (frame.command, frame.session) == (REPLY | Command.FAULT, 0):
                    raise FaultError(self.port, frame.payload)
            broken = sum(frame is None or frame.command == REPLY | Command.NAK for frame in frames)
            self.broken_frames += broken
            if broken:
                heard = True
                deadline = min(deadline, time.monotonic() + _GRACE_S)
            left = deadline - time.monotonic()
            if left <= 0:
                return None, heard
            arrived = self.transport.read(left)
            heard = heard or bool(arrived)
            if arrived:
                deadline = min(max(deadline, time.monotonic() + _GRACE_S), last_call)

    def _attempt_answered(self, reply: Frame, attempts: int) -> int:
        newest = attempts - 1
        before = (newest - reply.attempt) & 0xFF
        return newest - before if before <= newest else newest

    def _payload(self, reply: Frame) -> bytes:
        if reply.command != REPLY | Command.ERROR:
            return reply.payload
        if len(reply.payload) != ERROR_REPLY.size:
            raise NonsenseError(self.port, Command.ERROR)
        error = ERROR_REPLY.unpack(reply.payload)
        if error["code"] == ErrorCode.SESSION:
            raise SessionLostError
        raise DeviceError(self.transport.port, **error)

    def _no_reply(self, patience_s: float, broken: int) -> NoReplyError:
        port = self.transport.port
        if broken:
            return NoReplyError(
                f"only broken frames ({broken} CRC errors in {patience_s:.0f} s) come from {port}: check the "
                f"cable and the rate ({self.transport.baud} baud), or flash the board with tinyguard flash"
            )
        return NoReplyError(
            f"no reply from {port} in {patience_s:.0f} s: check the port (tinyguard ports) or flash the "
            "board with tinyguard flash"
        )


def _answers(frame: Frame, request: Frame) -> bool:
    return (
        frame.session == request.session
        and frame.sequence == request.sequence
        and frame.command in (REPLY | request.command, REPLY | Command.ERROR)
    )
