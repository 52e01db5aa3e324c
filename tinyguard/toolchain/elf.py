# SPDX-License-Identifier: Apache-2.0
"""Section headers of a 32-bit little-endian ELF file (System V ABI, chapter 4)."""

import struct
from dataclasses import dataclass
from pathlib import Path

from tinyguard.errors import TinyguardError

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SECTION = struct.Struct("<10I")
_NOBITS = 8
_ALLOCATED = 0x2


@dataclass(frozen=True)
class Section:
    """`stored`: its bytes are in the file, so in the flash of the board."""

    name: str
    address: int
    size: int
    stored: bool


def sections(path: Path) -> dict[str, Section]:
    """Sections that take up memory on the board, by name, in file order."""
    data = Path(path).read_bytes()
    try:
        return _parse(data)
    except (struct.error, IndexError, ValueError):
        raise TinyguardError(f"{path} is not a 32-bit ELF file; build it again") from None


def _parse(data: bytes) -> dict[str, Section]:
    fields = _HEADER.unpack_from(data)
    if fields[0][:6] != b"\x7fELF\x01\x01":
        raise ValueError("not ELF32 little-endian")
    offset, entry_size, count, names_index = fields[6], fields[11], fields[12], fields[13]
    headers = [_SECTION.unpack_from(data, offset + i * entry_size) for i in range(count)]
    names_offset = headers[names_index][4]
    found = {}
    for name_offset, kind, flags, address, _, size, *_ in headers:
        if flags & _ALLOCATED and size:
            start = names_offset + name_offset
            name = data[start : data.index(b"\0", start)].decode()
            found[name] = Section(name, address, size, kind != _NOBITS)
    return found
