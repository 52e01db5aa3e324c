# SPDX-License-Identifier: Apache-2.0
"""The wire between host and board, declared once; a test compares firmware/include/tinyguard/protocol.h.

A frame is 0, COBS(header, payload, CRC-32 of both), 0. All numbers are little-endian. The host asks, the
device answers with the same sequence, session and attempt, and `command | REPLY`.
"""

import struct
from enum import IntEnum
from typing import Any

PROTOCOL_VERSION = 2
REPLY = 0x80
NO_LAYER = 0xFFFF
CHUNK_MIN = 32
CHUNK_MAX = 16384
MAX_RANK = 6

HEADER_BYTES = 8
FIXED_BYTES = 12
CRC_BYTES = 4
COUNT_BYTES = 4  # how many bytes of an output of variable length are used, before them

FLAG_DISTURBED = 1

COUNTER_CYCLES = 1
COUNTER_TICKS = 2

# How the board numbers the kinds of settings.
SETTING_KINDS = {1: "bool", 2: "int32", 3: "uint64", 4: "int32[]"}

DTYPES = {1: "int8", 2: "int16", 3: "int32", 4: "float32"}


class Command(IntEnum):
    HELLO = 1
    INFO = 2
    DESCRIBE = 3
    LAYER_INFO = 4
    WRITE_INPUT = 5
    INVOKE = 6
    READ_OUTPUT = 7
    READ_LAYER = 8
    RUN = 9
    STATUS = 10
    SET_BAUD = 11
    RESET = 12
    SETTINGS = 13
    FAULT = 125
    NAK = 126
    ERROR = 127


class ErrorCode(IntEnum):
    OK = 0
    COMMAND = 1
    LENGTH = 2
    INDEX = 3
    RANGE = 4
    ORDER = 5
    INPUT = 6
    CRC = 7
    SESSION = 8
    BAUD = 9


class Settings(IntEnum):
    TELL = 0
    SET = 1
    RESTORE = 2


class Describe(IntEnum):
    INPUT = 0
    OUTPUT = 1
    LAYER = 2


class Layout:
    """A packed little-endian struct: field names with their `struct` codes."""

    def __init__(self, name: str, **fields: str) -> None:
        self.name = name
        self.fields = fields
        self._struct = struct.Struct("<" + "".join(fields.values()))
        self.size = self._struct.size

    def offset(self, field: str) -> int:
        """Bytes before the field."""
        codes = list(self.fields.values())[: list(self.fields).index(field)]
        return struct.calcsize("<" + "".join(codes))

    def pack(self, **values: Any) -> bytes:
        """All fields by name; an array field takes a sequence."""
        flat: list[Any] = []
        for field, code in self.fields.items():
            value = values.pop(field)
            flat.extend(value) if _is_array(code) else flat.append(value)
        if values:
            raise KeyError(f"{self.name} has no field {', '.join(values)}")
        return self._struct.pack(*flat)

    def unpack(self, data: bytes) -> dict[str, Any]:
        """Fields of the first `size` bytes; `struct.error` when there are fewer."""
        flat = iter(self._struct.unpack_from(data))
        return {
            field: tuple(next(flat) for _ in range(int(code[:-1]))) if _is_array(code) else next(flat)
            for field, code in self.fields.items()
        }


def _is_array(code: str) -> bool:
    return code[0].isdigit() and not code.endswith("s")


HEADER = Layout("tg_header", command="B", attempt="B", sequence="H", session="I")
ERROR_REPLY = Layout("tg_error_reply", code="B", command="B", layer="H", detail="I")
HELLO_REQUEST = Layout("tg_hello_request", version="H")
HELLO_REPLY = Layout(
    "tg_hello_reply", version="H", chunk_bytes="H", input_count="H", output_count="H", layer_count="H"
)
INFO_REQUEST = Layout("tg_info_request", offset="H", count="H")
BOARD_INFO = Layout(
    "tg_board_info",
    model_sha256="32s",
    board="24s",
    core="16s",
    build="16s",
    clock_hz="I",
    counter_kind="I",
    calibration_instructions="I",
    calibration_ticks="I",
    arena_bytes="I",
    link_bytes="I",
    stack_bytes="I",
    baud="I",
)
DESCRIBE_REQUEST = Layout("tg_describe_request", kind="B", layer="H", index="H")
DESCRIBE_REPLY = Layout(
    "tg_describe_reply",
    size_bytes="I",
    scale="f",
    zero_point="i",
    shape="6I",
    dtype="B",
    rank="B",
    variable="B",
)
LAYER_INFO_REQUEST = Layout("tg_layer_info_request", layer="H")
LAYER_INFO_REPLY = Layout("tg_layer_info_reply", output_count="H")
WRITE_REQUEST = Layout("tg_write_request", offset="I", index="H")
INVOKE_REQUEST = Layout("tg_invoke_request", input_crc="I", first_layer="H", last_layer="H", output_bytes="H")
INVOKE_REPLY = Layout("tg_invoke_reply", count="Q", flags="B")
READ_OUTPUT_REQUEST = Layout("tg_read_output_request", offset="I", count="H", index="H")
READ_LAYER_REQUEST = Layout("tg_read_layer_request", offset="I", count="H", layer="H", output="H")
STATUS_REQUEST = Layout("tg_status_request", repaint="B")
STATUS_REPLY = Layout(
    "tg_status_reply",
    stack_high_water="I",
    stack_at_invoke="I",
    overruns="I",
    frames="I",
    frame_errors="I",
)
SET_BAUD_REQUEST = Layout("tg_set_baud_request", baud="I")
TELL_REQUEST = Layout("tg_settings_tell_request", what="B", index="H", first="H", words="H")
TELL_REPLY = Layout("tg_settings_tell_reply", setting_count="H", count="H", kind="B", drawn="B")
SETTINGS_ENTRY = Layout("tg_settings_entry", index="H", words="H")

LAYOUTS = tuple(value for value in list(globals().values()) if isinstance(value, Layout))
