# SPDX-License-Identifier: Apache-2.0
"""COBS frames with a CRC-32: bytes on the wire to and from header and payload."""

import struct
import zlib
from dataclasses import dataclass

from tinyguard.device.protocol import CRC_BYTES, HEADER, HEADER_BYTES

_BLOCK = 254


@dataclass(frozen=True)
class Frame:
    """One good frame."""

    command: int
    attempt: int
    sequence: int
    session: int
    payload: bytes


def cobs_encode(data: bytes) -> bytes:
    """Without zero bytes and without delimiter (Cheshire and Baker, 1999)."""
    encoded = bytearray()
    for piece in data.split(b"\0"):
        while len(piece) >= _BLOCK:
            encoded += b"\xff" + piece[:_BLOCK]
            piece = piece[_BLOCK:]
        encoded.append(len(piece) + 1)
        encoded += piece
    return bytes(encoded)


def cobs_decode(encoded: bytes) -> bytes | None:
    """The inverse; None when it is no COBS."""
    data = bytearray()
    position = 0
    while position < len(encoded):
        code = encoded[position]
        end = position + code
        if code == 0 or end > len(encoded):
            return None
        data += encoded[position + 1 : end]
        if code <= _BLOCK and end < len(encoded):
            data.append(0)
        position = end
    return bytes(data)


def encode_frame(frame: Frame) -> bytes:
    """With a delimiter on either side, so that a frame cut short before it does no harm."""
    body = (
        HEADER.pack(
            command=frame.command, attempt=frame.attempt, sequence=frame.sequence, session=frame.session
        )
        + frame.payload
    )
    return b"\0" + cobs_encode(body + struct.pack("<I", zlib.crc32(body))) + b"\0"


def decode_frame(encoded: bytes) -> Frame | None:
    """What lies between two delimiters; None when it is broken."""
    body = cobs_decode(encoded)
    if body is None or len(body) < HEADER_BYTES + CRC_BYTES:
        return None
    if zlib.crc32(body[:-CRC_BYTES]) != int.from_bytes(body[-CRC_BYTES:], "little"):
        return None
    return Frame(**HEADER.unpack(body), payload=body[HEADER_BYTES:-CRC_BYTES])


class FrameReader:
    """Cuts a stream of bytes into frames; a broken one comes out as None."""

    def __init__(self, frame_bytes_max: int = 1 << 16) -> None:
        self._buffer = bytearray()
        self._frame_bytes_max = frame_bytes_max

    def feed(self, data: bytes) -> list[Frame | None]:
        """The frames that `data` completes."""
        self._buffer += data
        *pieces, rest = bytes(self._buffer).split(b"\0")
        self._buffer = bytearray(rest[: self._frame_bytes_max])
        return [decode_frame(piece) for piece in pieces if piece]
