# SPDX-License-Identifier: Apache-2.0
"""Functions and objects of a relocatable 32-bit ELF file: bytes and what is patched into them.

System V ABI, chapter 4. Two compilations are equal where these are, wherever the linker puts them: addresses
and branches to other symbols are relocations, named by the symbol they mean.
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SECTION = struct.Struct("<10I")
_SYMBOL = struct.Struct("<IIIBBH")
_RELOCATION = struct.Struct("<II")
_SYMBOL_TABLE, _NOBITS, _RELOCATIONS = 2, 8, 9
_ALLOCATED = 2
_SECTION_SYMBOL = 3
_OBJECTS = (1, 2)  # STT_OBJECT, STT_FUNC


@dataclass(frozen=True)
class Part:
    """A function, an object, or a section without either. `patches`: (offset, kind, symbol) in it."""

    size: int
    data: bytes
    patches: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True)
class _Section:
    name: str
    kind: int
    flags: int
    data: bytes
    size: int
    link: int
    info: int


def parts(path: Path) -> dict[str, Part]:
    """What takes up memory in an object file, by name; a compiler's number after a name is left out."""
    data = path.read_bytes()
    sections = _sections(data)
    table = next(section for section in sections if section.kind == _SYMBOL_TABLE)
    names = sections[table.link].data
    symbols = [
        (_text(names, name), value, size, info & 15, home)
        for name, value, size, info, _, home in _SYMBOL.iter_unpack(table.data)
    ]
    patches: dict[int, list[tuple[int, int, str]]] = {}
    for section in sections:
        if section.kind == _RELOCATIONS:
            for offset, info in _RELOCATION.iter_unpack(section.data):
                name, _, _, kind, home = symbols[info >> 8]
                target = sections[home].name if kind == _SECTION_SYMBOL else name
                patches.setdefault(section.info, []).append((offset, info & 255, _plain(target)))
    found, covered = {}, set()
    for name, value, size, kind, home in symbols:
        if kind in _OBJECTS and size and 0 < home < len(sections):
            start = value & ~1 if kind == 2 else value  # the low bit of a function says Thumb
            found[_plain(name)] = _part(sections[home], patches.get(home, []), start, size)
            covered.add(home)
    for number, section in enumerate(sections):
        if section.flags & _ALLOCATED and section.size and number not in covered:
            found[_plain(section.name)] = _part(section, patches.get(number, []), 0, section.size)
    return found


def linked(path: Path) -> dict[str, int]:
    """Sizes of the functions and objects in a linked image, by name."""
    sections = _sections(path.read_bytes())
    table = next(section for section in sections if section.kind == _SYMBOL_TABLE)
    names = sections[table.link].data
    return {
        _plain(_text(names, name)): size
        for name, _, size, info, _, home in _SYMBOL.iter_unpack(table.data)
        if info & 15 in _OBJECTS and size and 0 < home < len(sections)
    }


def _part(section: _Section, patches: list[tuple[int, int, str]], start: int, size: int) -> Part:
    inside = sorted((at - start, kind, name) for at, kind, name in patches if start <= at < start + size)
    data = b"" if section.kind == _NOBITS else section.data[start : start + size]
    return Part(size, data, tuple(inside))


def _sections(data: bytes) -> list[_Section]:
    fields = _HEADER.unpack_from(data)
    offset, entry_size, count, names_index = fields[6], fields[11], fields[12], fields[13]
    rows = [_SECTION.unpack_from(data, offset + i * entry_size) for i in range(count)]
    names = data[rows[names_index][4] :]
    return [
        _Section(
            _text(names, name),
            kind,
            flags,
            b"" if kind == _NOBITS else data[at : at + size],
            size,
            link,
            info,
        )
        for name, kind, flags, _, at, size, link, info, _, _ in rows
    ]


def _text(names: bytes, start: int) -> str:
    return names[start : names.index(b"\0", start)].decode()


def _plain(name: str) -> str:
    return re.sub(r"\.\d+$", "", name)
