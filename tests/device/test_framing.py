# SPDX-License-Identifier: Apache-2.0
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyguard.device.framing import Frame, FrameReader, cobs_decode, cobs_encode, decode_frame, encode_frame

frames = st.builds(
    Frame,
    command=st.integers(0, 255),
    attempt=st.integers(0, 255),
    sequence=st.integers(0, 0xFFFF),
    session=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=600),
)
mostly_not_zero = st.lists(st.sampled_from([0, 1, 255]), max_size=1100).map(bytes)


@pytest.mark.parametrize(
    ("data", "encoded"),
    [
        (b"", b"\x01"),
        (b"\0", b"\x01\x01"),
        (b"\0\0", b"\x01\x01\x01"),
        (b"\x11\x22\0\x33", b"\x03\x11\x22\x02\x33"),
        (b"\x11\0\0\0", b"\x02\x11\x01\x01\x01"),
        (bytes(range(1, 255)) + b"\xff", b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
    ],
)
def test_cobs_of_the_paper(data: bytes, encoded: bytes) -> None:
    assert cobs_encode(data) == encoded
    assert cobs_decode(encoded) == data


@given(st.one_of(st.binary(max_size=1100), mostly_not_zero))
def test_cobs_goes_there_and_back_without_a_zero(data: bytes) -> None:
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert len(encoded) <= len(data) + len(data) // 254 + 1
    assert cobs_decode(encoded) == data


@given(st.binary(max_size=300))
def test_cobs_decodes_or_refuses_anything(garbage: bytes) -> None:
    decoded = cobs_decode(garbage)
    assert decoded is None or len(decoded) <= len(garbage)


@given(frames, st.data())
def test_reader_finds_frames_however_they_are_cut(frame: Frame, data: st.DataObject) -> None:
    wire = encode_frame(frame) * 3
    reader = FrameReader()
    found: list[Frame | None] = []
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        found += reader.feed(wire[:cut])
        wire = wire[cut:]
    assert found == [frame] * 3


@given(frames, st.data())
def test_a_damaged_frame_is_never_taken_for_another(frame: Frame, data: st.DataObject) -> None:
    wire = bytearray(encode_frame(frame))
    at = data.draw(st.integers(0, len(wire) - 1))
    kind = data.draw(st.sampled_from(["drop", "flip", "insert"]))
    if kind == "drop":
        del wire[at]
    elif kind == "flip":
        wire[at] ^= data.draw(st.integers(1, 255))
    else:
        wire.insert(at, data.draw(st.integers(0, 255)))
    found = FrameReader().feed(bytes(wire) + b"\0")
    assert all(good == frame for good in found if good is not None)


@given(frames, st.binary(max_size=50))
def test_a_frame_survives_what_came_before_it(frame: Frame, garbage: bytes) -> None:
    assert FrameReader().feed(garbage + encode_frame(frame))[-1] == frame


def test_crc_is_zlibs_over_header_and_payload() -> None:
    wire = encode_frame(Frame(9, 1, 0x0203, 0x04050607, b"abc"))
    body = cobs_decode(wire.strip(b"\0"))
    assert body is not None
    assert body[:-4] == b"\x09\x01\x03\x02\x07\x06\x05\x04abc"
    assert int.from_bytes(body[-4:], "little") == zlib.crc32(body[:-4])
    assert decode_frame(cobs_encode(b"\1" * 11)) is None
