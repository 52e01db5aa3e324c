# SPDX-License-Identifier: Apache-2.0
"""FlatBuffers driven by the schema table: bytes to nested tables and back.

The decoder trusts nothing: every offset, length and alignment is checked, and a budget bounds what a
hostile file can make it build. Source: https://flatbuffers.dev/internals.
"""

import struct
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.tflite.schema import BUFFER_ALIGNMENT, ENUMS, FILE_IDENTIFIER, TABLES, Field
from tinyguard.tflite.schema import field as schema_field

MAX_FILE_BYTES = 64 << 20
_MAX_TABLES = 50_000
_MAX_NUMBERS = 2_000_000

_NUMBERS = {
    "bool": np.dtype("?"),
    "int8": np.dtype("<i1"),
    "uint8": np.dtype("<u1"),
    "uint16": np.dtype("<u2"),
    "int32": np.dtype("<i4"),
    "uint32": np.dtype("<u4"),
    "int64": np.dtype("<i8"),
    "uint64": np.dtype("<u8"),
    "float32": np.dtype("<f4"),
}
_SCALARS = {
    name: struct.Struct("<" + code)
    for name, code in zip(_NUMBERS, ("?", "b", "B", "H", "i", "I", "q", "Q", "f"), strict=True)
}
_UINT32 = _SCALARS["uint32"]


@dataclass(frozen=True)
class Table:
    """A decoded table: `kind` is its schema name, `values` its fields other than defaults.

    Scalars are numbers, strings are str, byte vectors are bytes, other vectors are tuples, tables are
    Tables. `unknown` names what the file holds and the schema table does not know.
    """

    kind: str
    values: dict[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        """The field's value or its schema default; absent vectors are empty, absent tables None."""
        value = self.values.get(name)
        if value is not None:
            return value
        described = schema_field(self.kind, name)
        empty = {"string": "", "bytes": b"", "numbers": (), "tables": ()}
        return empty.get(described.kind, described.default)


def decode(data: bytes, root: str = "Model") -> Table:
    """The root table of a TFLite file.

    Raises TinyguardError when the bytes are not a well-formed FlatBuffer of the schema.
    """
    if len(data) > MAX_FILE_BYTES:
        raise TinyguardError(f"the file has {len(data)} bytes, more than the {MAX_FILE_BYTES} that are read")
    if len(data) < 8 or data[4:8] != FILE_IDENTIFIER:
        raise TinyguardError("not a .tflite file (no identifier TFL3); `tinyguard quantize` writes one")
    return _Decoder(data).root(root)


def unknown_parts(table: Table) -> list[str]:
    """Everything in the file that the schema table does not know, at any depth."""
    parts = list(table.unknown)
    for value in table.values.values():
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, Table):
                parts += unknown_parts(child)
    return parts


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tables_left = _MAX_TABLES
        self.numbers_left = _MAX_NUMBERS
        self.bytes_left = len(data) + (1 << 16)

    def root(self, kind: str) -> Table:
        return self._table(_UINT32.unpack_from(self.data, 0)[0], kind)

    def _require(self, holds: bool, what: str, position: int) -> None:
        if not holds:
            raise TinyguardError(f"damaged .tflite file: {what} at byte {position}; export the model again")

    def _table(self, position: int, kind: str) -> Table:
        data, size = self.data, len(self.data)
        self.tables_left -= 1
        self._require(self.tables_left >= 0, f"more than {_MAX_TABLES} tables", position)
        self._require(position % 4 == 0 and 4 <= position <= size - 4, f"{kind} outside the file", position)
        vtable = position - struct.unpack_from("<i", data, position)[0]
        self._require(vtable % 2 == 0 and 4 <= vtable <= size - 4, f"{kind} without a field table", position)
        vtable_size, table_size = struct.unpack_from("<HH", data, vtable)
        fits = vtable_size >= 4 and vtable_size % 2 == 0 and vtable + vtable_size <= size
        self._require(fits, f"{kind} with a bad field table", vtable)
        self._require(4 <= table_size <= size - position, f"{kind} past the end of the file", position)
        self._spend((vtable_size - 4) // 2, position)
        slots = struct.unpack_from(f"<{(vtable_size - 4) // 2}H", data, vtable + 4)
        values: dict[str, Any] = {}
        unknown = [
            f"{kind} field {slot}" for slot, at in enumerate(slots) if at and slot >= len(TABLES[kind])
        ]
        for described, offset in zip(TABLES[kind], slots, strict=False):
            if offset:
                width = _SCALARS[described.type].size if described.kind == "scalar" else 4
                at, inside = position + offset, 4 <= offset <= table_size - width
                self._require(inside and at % width == 0, f"{kind}.{described.name} misplaced", position)
                self._read(described, at, kind, values, unknown)
        return Table(kind, values, tuple(unknown))

    def _read(self, item: Field, at: int, kind: str, values: dict[str, Any], unknown: list[str]) -> None:
        if item.kind == "scalar":
            (value,) = _SCALARS[item.type].unpack_from(self.data, at)
            if value != item.default:
                values[item.name] = value
            return
        target = at + _UINT32.unpack_from(self.data, at)[0]
        if item.kind == "table":
            values[item.name] = self._table(target, item.type)
        elif item.kind == "union":
            member = values.get(f"{item.name}_type", 0)
            members = ENUMS[item.type]
            if 0 < member < len(members) and members[member] in TABLES:
                values[item.name] = self._table(target, members[member])
            else:
                unknown.append(
                    f"{kind}.{item.name} of type {members[member] if member < len(members) else member}"
                )
        else:
            values[item.name] = self._vector(item, target, f"{kind}.{item.name}")

    def _vector(self, item: Field, position: int, name: str) -> Any:
        self._require(
            position % 4 == 0 and position <= len(self.data) - 4, f"{name} outside the file", position
        )
        (count,) = _UINT32.unpack_from(self.data, position)
        start = position + 4
        width = (
            1
            if item.kind in ("bytes", "string")
            else 4
            if item.kind == "tables"
            else _SCALARS[item.type].size
        )
        fits = count * width <= len(self.data) - start
        self._require(fits, f"{name} with {count} elements past the end of the file", position)
        if item.kind == "bytes" or item.kind == "string":
            return self._bytes(item, start, count, name)
        self._spend(count, position)
        if item.kind == "tables":
            offsets = struct.unpack_from(f"<{count}I", self.data, start)
            return tuple(self._table(start + 4 * i + offset, item.type) for i, offset in enumerate(offsets))
        self._require(count == 0 or start % width == 0, f"{name} misaligned", position)
        return tuple(np.frombuffer(self.data, _NUMBERS[item.type], count, start).tolist())

    def _bytes(self, item: Field, start: int, count: int, name: str) -> bytes | str:
        self.bytes_left -= count
        self._require(self.bytes_left >= 0, f"{name} shared too often", start)
        content = self.data[start : start + count]
        if item.kind == "bytes":
            return content
        ends = start + count < len(self.data) and self.data[start + count] == 0
        self._require(ends, f"{name} without an end", start)
        return content.decode("utf-8", "surrogateescape")

    def _spend(self, count: int, position: int) -> None:
        self.numbers_left -= count
        self._require(self.numbers_left >= 0, f"more than {_MAX_NUMBERS} numbers", position)


def encode(root: Table) -> bytes:
    """A TFLite file of the table; buffers' data is aligned to 16 bytes.

    Raises TinyguardError when the table came from a file with parts that the schema does not know, which
    would be lost.
    """
    lost = unknown_parts(root)
    if lost:
        raise TinyguardError(f"cannot rewrite the file without losing {lost[0]}; export the model again")
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(_write_table(builder, root), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def _write_table(builder: flatbuffers.Builder, table: Table) -> int:
    fields = TABLES[table.kind]
    offsets = {
        item.slot: _write_child(builder, item, table.values[item.name])
        for item in fields
        if item.kind != "scalar" and table.values.get(item.name) is not None
    }
    builder.StartObject(len(fields))
    for item in fields:
        if item.slot in offsets:
            builder.PrependUOffsetTRelativeSlot(item.slot, offsets[item.slot], 0)
        elif item.kind == "scalar" and item.name in table.values:
            prepend = getattr(builder, f"Prepend{item.type.title()}Slot")
            prepend(item.slot, table.values[item.name], item.default)
    offset: int = builder.EndObject()
    return offset


def _write_child(builder: flatbuffers.Builder, item: Field, value: Any) -> int:
    if item.kind == "string":
        return int(builder.CreateString(value.encode("utf-8", "surrogateescape")))
    if item.kind == "bytes":
        return _write_vector(builder, np.frombuffer(value, np.uint8), BUFFER_ALIGNMENT)
    if item.kind in ("table", "union"):
        return _write_table(builder, value)
    if item.kind == "tables":
        children = [_write_table(builder, child) for child in value]
        builder.StartVector(4, len(children), 4)
        for child in reversed(children):
            builder.PrependUOffsetTRelative(child)
        return int(builder.EndVector())
    return _write_vector(builder, np.asarray(value, _NUMBERS[item.type]), 1)


def _write_vector(builder: flatbuffers.Builder, elements: np.ndarray, alignment: int) -> int:
    builder.StartVector(elements.itemsize, len(elements), max(alignment, elements.itemsize))
    builder.head -= elements.nbytes
    builder.Bytes[builder.head : builder.head + elements.nbytes] = elements.tobytes()
    return int(builder.EndVector())
