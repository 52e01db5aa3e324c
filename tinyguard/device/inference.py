# SPDX-License-Identifier: Apache-2.0
"""One sample through the network on a board, whole or layer by layer."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tinyguard.device.description import Description, TensorDescription
from tinyguard.device.failures import DeviceError, NonsenseError, ShrinkError
from tinyguard.device.handshake import PATIENCE_S, ask, describe, read_slices
from tinyguard.device.link import Link
from tinyguard.device.protocol import (
    COUNT_BYTES,
    FLAG_DISTURBED,
    INVOKE_REPLY,
    INVOKE_REQUEST,
    LAYER_INFO_REPLY,
    LAYER_INFO_REQUEST,
    READ_LAYER_REQUEST,
    READ_OUTPUT_REQUEST,
    WRITE_REQUEST,
    Command,
    Describe,
    ErrorCode,
)

_REWRITES = 3


@dataclass(frozen=True)
class RawInference:
    """All outputs one after the other, and the count in the counter's own unit.

    `disturbed`: bytes arrived while it was counted, so the count is an upper bound.
    """

    data: bytes
    count: int
    disturbed: bool


@dataclass(frozen=True)
class LayerRun:
    """One layer of one sample: an array of shape (1, ...) per output, and its count in the board's unit."""

    layer: int
    outputs: tuple[np.ndarray, ...]
    count: int
    disturbed: bool


def infer(link: Link, board: Description, blobs: Sequence[bytes]) -> RawInference:
    """One sample, the bytes of each input. Raises SessionLostError and what Link.request raises."""
    rewrites = 0
    while True:
        try:
            if max(board.input_bytes, board.output_bytes) <= link.chunk.bytes:
                return _infer_in_one_frame(link, board, blobs)
            return _infer_in_pieces(link, board, blobs)
        except ShrinkError:
            continue
        except DeviceError as error:
            rewrites += 1
            if error.code != ErrorCode.CRC or rewrites > _REWRITES:
                raise


def _infer_in_one_frame(link: Link, board: Description, blobs: Sequence[bytes]) -> RawInference:
    reply = link.request(
        Command.RUN,
        b"".join(blobs),
        patience_s=link.inference_patience_s(Command.RUN),
        data_bytes=max(board.input_bytes, board.output_bytes),
        reply_bytes=INVOKE_REPLY.size + board.output_bytes,
    )
    return _with_outputs(link, board, Command.RUN, reply)


def _infer_in_pieces(link: Link, board: Description, blobs: Sequence[bytes]) -> RawInference:
    _write_inputs(link, blobs)
    appended = board.output_bytes if board.output_bytes <= link.chunk.bytes else 0
    reply = _invoke(link, blobs, 0, board.layer_count - 1, appended)
    if appended:
        return _with_outputs(link, board, Command.INVOKE, reply)
    raw = _raw(reply)
    data = b"".join(_read_output(link, i, tensor) for i, tensor in enumerate(board.outputs))
    return RawInference(data, raw.count, raw.disturbed)


def _write_inputs(link: Link, blobs: Sequence[bytes]) -> None:
    for index, blob in enumerate(blobs):
        offset = 0
        while offset < len(blob):
            part = blob[offset : offset + link.chunk.bytes]
            payload = WRITE_REQUEST.pack(offset=offset, index=index) + part
            try:
                link.request(
                    Command.WRITE_INPUT,
                    payload,
                    patience_s=PATIENCE_S,
                    data_bytes=len(part),
                    reply_bytes=0,
                )
            except ShrinkError:
                continue
            offset += len(part)


def _invoke(link: Link, blobs: Sequence[bytes], first: int, last: int, output_bytes: int) -> bytes:
    """The reply, with `output_bytes` of outputs at most."""
    crc = 0
    for blob in blobs if first == 0 else ():
        crc = zlib.crc32(blob, crc)
    reply_bytes = INVOKE_REPLY.size + output_bytes
    reply = link.request(
        Command.INVOKE,
        INVOKE_REQUEST.pack(input_crc=crc, first_layer=first, last_layer=last, output_bytes=output_bytes),
        patience_s=link.inference_patience_s(Command.INVOKE, (first, last)),
        kind=(first, last),
        reply_bytes=reply_bytes,
    )
    if not INVOKE_REPLY.size <= len(reply) <= reply_bytes:
        raise NonsenseError(link.port, Command.INVOKE)
    return reply


def _with_outputs(link: Link, board: Description, command: Command, reply: bytes) -> RawInference:
    """A reply that all outputs follow, each filled with zeros to its size where it is of variable length."""
    if len(reply) < INVOKE_REPLY.size:
        raise NonsenseError(link.port, command)
    raw, whole = _raw(reply), []
    data = raw.data
    for tensor in board.outputs:
        used = tensor.size_bytes
        if tensor.variable:
            used, data = int.from_bytes(data[:COUNT_BYTES], "little"), data[COUNT_BYTES:]
        if used > min(tensor.size_bytes, len(data)):
            raise NonsenseError(link.port, command)
        whole.append(data[:used].ljust(tensor.size_bytes, b"\0"))
        data = data[used:]
    if data:
        raise NonsenseError(link.port, command)
    return RawInference(b"".join(whole), raw.count, raw.disturbed)


def _raw(reply: bytes) -> RawInference:
    fields = INVOKE_REPLY.unpack(reply)
    return RawInference(reply[INVOKE_REPLY.size :], fields["count"], bool(fields["flags"] & FLAG_DISTURBED))


def _read_output(link: Link, index: int, tensor: TensorDescription) -> bytes:
    if tensor.variable:
        return _read_used(link, index, tensor.size_bytes).ljust(tensor.size_bytes, b"\0")

    def request(offset: int, count: int) -> tuple[Command, bytes]:
        return Command.READ_OUTPUT, READ_OUTPUT_REQUEST.pack(offset=offset, count=count, index=index)

    return read_slices(link, request, tensor.size_bytes)


def _read_used(link: Link, index: int, size_bytes: int) -> bytes:
    """The used bytes of an output of variable length; every piece says how many there are."""
    data, used = bytearray(), size_bytes
    while len(data) < used:
        count = min(link.chunk.bytes, used - len(data))
        try:
            reply = link.request(
                Command.READ_OUTPUT,
                READ_OUTPUT_REQUEST.pack(offset=len(data), count=count, index=index),
                patience_s=PATIENCE_S,
                data_bytes=count,
                reply_bytes=COUNT_BYTES + count,
            )
        except ShrinkError:
            continue
        used, part = int.from_bytes(reply[:COUNT_BYTES], "little"), reply[COUNT_BYTES:]
        if not len(data) <= used <= size_bytes or len(part) != min(count, used - len(data)):
            raise NonsenseError(link.port, Command.READ_OUTPUT)
        data += part
    return bytes(data)


def infer_layers(link: Link, board: Description, blobs: Sequence[bytes]) -> Iterator[LayerRun]:
    """One sample, layer by layer in execution order. Raises what `infer` raises."""
    _write_inputs(link, blobs)
    for layer in range(board.layer_count):
        raw = _raw(_invoke(link, blobs, layer, layer, 0))
        outputs = tuple(_read_layer(link, layer))
        yield LayerRun(layer, outputs, board.to_unit(raw.count), raw.disturbed)


def count_layers(link: Link, board: Description, blobs: Sequence[bytes]) -> list[RawInference]:
    """One sample, the count of each layer, and no outputs. Raises what `infer` raises."""
    _write_inputs(link, blobs)
    return [_raw(_invoke(link, blobs, layer, layer, 0)) for layer in range(board.layer_count)]


def _read_layer(link: Link, layer: int) -> Iterator[np.ndarray]:
    reply = ask(link, Command.LAYER_INFO, LAYER_INFO_REQUEST.pack(layer=layer), LAYER_INFO_REPLY.size)
    for output in range(LAYER_INFO_REPLY.unpack(reply)["output_count"]):
        tensor = describe(link, Describe.LAYER, output, layer)

        def request(offset: int, count: int, output: int = output) -> tuple[Command, bytes]:
            payload = READ_LAYER_REQUEST.pack(offset=offset, count=count, layer=layer, output=output)
            return Command.READ_LAYER, payload

        yield tensor.from_bytes(read_slices(link, request, tensor.size_bytes))
