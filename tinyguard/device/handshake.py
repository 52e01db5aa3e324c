# SPDX-License-Identifier: Apache-2.0
"""Learning what is on the other side of a link."""

from collections.abc import Callable

from tinyguard.device.description import Description, TensorDescription, tensor_description, text
from tinyguard.device.failures import NonsenseError, ShrinkError, WrongModelError, WrongVersionError
from tinyguard.device.link import Link
from tinyguard.device.protocol import (
    BOARD_INFO,
    DESCRIBE_REPLY,
    DESCRIBE_REQUEST,
    HELLO_REPLY,
    HELLO_REQUEST,
    INFO_REQUEST,
    PROTOCOL_VERSION,
    Command,
    Describe,
)

PATIENCE_S = 10.0
_INFO_SLICE_BYTES = 64


def hello(link: Link, expected_sha256: str | None, patience_s: float) -> Description:
    """Begin a session and ask for everything the board says about itself.

    Raises WrongVersionError, WrongModelError, SessionLostError and what Link.request raises.
    """
    link.open_session()
    fields = _greet(link, patience_s)
    info = BOARD_INFO.unpack(_read_info(link))
    sha256 = info.pop("model_sha256").hex()
    if expected_sha256 is not None and sha256 != expected_sha256.lower():
        raise WrongModelError(link.port, expected_sha256, sha256)
    return Description(
        protocol_version=fields["version"],
        model_sha256=sha256,
        board=text(info.pop("board")),
        core=text(info.pop("core")),
        build=text(info.pop("build")),
        chunk_bytes=fields["chunk_bytes"],
        layer_count=fields["layer_count"],
        inputs=tuple(describe(link, Describe.INPUT, i) for i in range(fields["input_count"])),
        outputs=tuple(describe(link, Describe.OUTPUT, i) for i in range(fields["output_count"])),
        **info,
    )


def _greet(link: Link, patience_s: float) -> dict[str, int]:
    request = HELLO_REQUEST.pack(version=PROTOCOL_VERSION)
    reply = link.request(Command.HELLO, request, patience_s=patience_s, reply_bytes=HELLO_REPLY.size)
    version = int.from_bytes(reply[:2], "little")
    if version != PROTOCOL_VERSION:
        age = "older" if version < PROTOCOL_VERSION else "newer"
        raise WrongVersionError(
            f"the board on {link.port} speaks protocol version {version}, {age} than this tinyguard's "
            f"{PROTOCOL_VERSION}: flash again: tinyguard flash MODEL --board B"
        )
    if len(reply) != HELLO_REPLY.size:
        raise NonsenseError(link.port, Command.HELLO)
    fields = HELLO_REPLY.unpack(reply)
    link.allow_chunk(fields["chunk_bytes"])
    return fields


def _read_info(link: Link) -> bytes:
    def request(offset: int, count: int) -> tuple[Command, bytes]:
        return Command.INFO, INFO_REQUEST.pack(offset=offset, count=count)

    return read_slices(link, request, BOARD_INFO.size, _INFO_SLICE_BYTES)


def describe(link: Link, kind: Describe, index: int, layer: int = 0) -> TensorDescription:
    """An input, an output of the network or an output of a layer."""
    payload = DESCRIBE_REQUEST.pack(kind=kind, layer=layer, index=index)
    try:
        return tensor_description(
            DESCRIBE_REPLY.unpack(ask(link, Command.DESCRIBE, payload, DESCRIBE_REPLY.size))
        )
    except ValueError:
        raise NonsenseError(link.port, Command.DESCRIBE) from None


def ask(link: Link, command: Command, payload: bytes, reply_bytes: int) -> bytes:
    """A small request with a reply of known length."""
    reply = link.request(command, payload, patience_s=PATIENCE_S, reply_bytes=reply_bytes)
    if len(reply) != reply_bytes:
        raise NonsenseError(link.port, command)
    return reply


def read_slices(
    link: Link,
    request: Callable[[int, int], tuple[Command, bytes]],
    size_bytes: int,
    slice_bytes: int | None = None,
) -> bytes:
    """Bytes 0 to `size_bytes` of what `request(offset, count)` asks for, in slices that fit the line."""
    data = bytearray()
    while len(data) < size_bytes:
        count = min(link.chunk.bytes, size_bytes - len(data), slice_bytes or size_bytes)
        command, payload = request(len(data), count)
        try:
            part = link.request(command, payload, patience_s=PATIENCE_S, data_bytes=count, reply_bytes=count)
        except ShrinkError:
            continue
        if len(part) != count:
            raise NonsenseError(link.port, command)
        data += part
    return bytes(data)
