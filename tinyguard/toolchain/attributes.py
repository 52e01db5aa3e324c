# SPDX-License-Identifier: Apache-2.0
"""What an Arm object file says it was compiled for: section .ARM.attributes of every member of an archive.

Source: Addenda to, and Errata in, the ABI for the Arm Architecture (ADDENDA32), chapter 3; `ar(5)`.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

_MAGIC = b"!<arch>\n"
_MEMBER = 60  # bytes of a member's header
_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SECTION = struct.Struct("<10I")
_ARM_ATTRIBUTES = 0x70000003
_TEXT_TAGS = {4, 5, 67}  # CPU raw name, CPU name, conformance
_FILE = 1


def archive_attributes(path: Path) -> Iterator[tuple[str, dict[int, int | str]]]:
    """Each object's name and its attributes by tag, numbers and strings; ValueError when it is no archive."""
    data = Path(path).read_bytes()
    if not data.startswith(_MAGIC):
        raise ValueError("not an archive")
    names, position = b"", len(_MAGIC)
    while position + _MEMBER <= len(data):
        header = data[position : position + _MEMBER]
        size = int(header[48:58])
        if size < 0:
            raise ValueError("a broken archive")
        content = data[position + _MEMBER : position + _MEMBER + size]
        position += _MEMBER + size + size % 2
        name = header[:16].decode("latin-1").strip()
        if name == "//":
            names = content
        elif content[:4] == b"\x7fELF":
            yield _member_name(name, names), _object_attributes(content)


def _member_name(name: str, names: bytes) -> str:
    if name.startswith("/") and name[1:].isdigit():
        start = int(name[1:])
        return names[start : names.index(b"\n", start)].decode("latin-1").rstrip("/")
    return name.rstrip("/")


def _object_attributes(data: bytes) -> dict[int, int | str]:
    try:
        fields = _HEADER.unpack_from(data)
        if fields[0][:6] != b"\x7fELF\x01\x01":
            raise ValueError("not ELF32 little-endian")
        offset, entry_size, count = fields[6], fields[11], fields[12]
        for i in range(count):
            section = _SECTION.unpack_from(data, offset + i * entry_size)
            if section[1] == _ARM_ATTRIBUTES:
                return _parse(data[section[4] : section[4] + section[5]])
    except (struct.error, IndexError):
        raise ValueError("a broken object") from None
    return {}


def _parse(section: bytes) -> dict[int, int | str]:
    """The attributes of the whole file, vendor "aeabi"."""
    found: dict[int, int | str] = {}
    if section[:1] != b"A":
        return found
    position = 1
    while position < len(section):
        (length,) = struct.unpack_from("<I", section, position)
        end = position + max(length, 4)
        vendor_end = section.index(b"\0", position + 4)
        if section[position + 4 : vendor_end] == b"aeabi":
            found |= _vendor(section[vendor_end + 1 : end])
        position = end
    return found


def _vendor(data: bytes) -> dict[int, int | str]:
    found: dict[int, int | str] = {}
    position = 0
    while position < len(data):
        scope = data[position]
        (length,) = struct.unpack_from("<I", data, position + 1)
        end = position + max(length, 5)
        if scope == _FILE:
            found |= _values(data[position + 5 : end])
        position = end
    return found


def _values(data: bytes) -> dict[int, int | str]:
    found: dict[int, int | str] = {}
    position = 0
    while position < len(data):
        tag, position = _uleb128(data, position)
        if tag == 32:  # compatibility: a number and a string
            _, position = _uleb128(data, position)
            position = data.index(b"\0", position) + 1
        elif tag in _TEXT_TAGS or (tag > 32 and tag % 2):
            end = data.index(b"\0", position)
            found[tag], position = data[position:end].decode("latin-1"), end + 1
        else:
            found[tag], position = _uleb128(data, position)
    return found


def _uleb128(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
