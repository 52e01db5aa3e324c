# SPDX-License-Identifier: Apache-2.0
"""Reading boards/*.toml; every mistake in one is told in one line with its file and key."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinyguard.boards.board import PARTS, Board, Clocks, Counter, Emulator, Link, Memory, Probe, Uart
from tinyguard.errors import TinyguardError
from tinyguard.paths import data_folder

_ALIGNMENT = 16
_CHUNK_STEP = 8
_REQUIRED: Any = object()


def names() -> list[str]:
    """Boards that are known, sorted."""
    return sorted(path.stem for path in data_folder("boards").glob("*.toml"))


def load(name: str) -> Board:
    """The board called `name`, or described by the file when `name` ends in `.toml`.

    Raises TinyguardError for an unknown name (with the nearest known one) and for a bad description.
    """
    path = Path(name) if name.endswith(".toml") else data_folder("boards") / f"{name}.toml"
    if not name.endswith(".toml") and name not in names():
        raise TinyguardError(_unknown(name))
    try:
        with path.open("rb") as stream:
            description = tomllib.load(stream)
    except OSError as error:
        raise TinyguardError(
            f"cannot read board {path}: {error.strerror}; give a name or a .toml file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TinyguardError(f"board {path} is not TOML: {str(error).lower()}") from None
    return _board(path, description)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, names(), 1, 0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"no board named {name!r}; {hint}`tinyguard boards` lists them"


class _Table:
    """A TOML table that knows where it stands, for error messages."""

    def __init__(self, path: Path, where: str, content: Any) -> None:
        if not isinstance(content, dict):
            raise TinyguardError(f"board {path}: {where or 'top'} must be a table")
        self.path, self.where, self.content = path, where, dict(content)

    def take(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        name = f"{self.where}.{key}" if self.where else key
        if key not in self.content:
            if default is _REQUIRED:
                raise TinyguardError(f"board {self.path}: {name} is missing")
            return default
        value = self.content.pop(key)
        flawed = isinstance(value, bool) or value < 0 if kind is int and isinstance(value, int) else False
        if not isinstance(value, kind) or flawed:
            raise TinyguardError(f"board {self.path}: {name} must be a {_KINDS[kind]}, not {value!r}")
        return value

    def table(self, key: str) -> "_Table":
        return _Table(self.path, f"{self.where}.{key}" if self.where else key, self.take(key, dict))

    def optional(self, key: str) -> "_Table | None":
        return self.table(key) if key in self.content else None

    def strings(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, [])
        if not all(isinstance(value, str) for value in values):
            raise TinyguardError(f"board {self.path}: {self.where}.{key} must be a list of strings")
        return tuple(values)

    def close(self) -> None:
        if self.content:
            raise TinyguardError(f"board {self.path}: unknown key {self.where}.{next(iter(self.content))}")


_KINDS = {int: "number of 0 or more", str: "string", bool: "boolean", dict: "table", list: "list"}


def _board(path: Path, description: dict[str, Any]) -> Board:
    top = _Table(path, "", description)
    memory = _memory(top.table("memory"))
    board = Board(
        name=path.stem,
        title=top.take("title", str),
        core=top.take("core", str),
        port=top.take("port", str),
        clock_hz=top.take("clock_hz", int),
        stack_bytes=top.take("stack_bytes", int),
        memory=memory,
        placement=_placement(top.table("placement"), memory),
        uart=_numbers(top.table("uart"), Uart),
        link=_numbers(top.table("link"), Link),
        counter=_numbers(counter, Counter) if (counter := top.optional("counter")) else None,
        clocks=_numbers(clocks, Clocks) if (clocks := top.optional("clocks")) else None,
        emulator=_emulator(emulator) if (emulator := top.optional("emulator")) else None,
        probe=_probe(probe) if (probe := top.optional("probe")) else None,
    )
    top.close()
    ring = board.link.ring_bytes
    if ring < 64 or ring & (ring - 1):
        raise TinyguardError(
            f"board {path}: link.ring_bytes must be a power of two of 64 or more, not {ring}"
        )
    if board.link.chunk_bytes % _CHUNK_STEP or not board.link.chunk_bytes < ring:
        raise TinyguardError(
            f"board {path}: link.chunk_bytes must be a multiple of {_CHUNK_STEP} below {ring}"
        )
    if board.stack_bytes % _ALIGNMENT:
        raise TinyguardError(f"board {path}: stack_bytes must be a multiple of {_ALIGNMENT}")
    return board


def _memory(table: _Table) -> tuple[Memory, ...]:
    regions = []
    for name in list(table.content):
        region = table.table(name)
        memory = Memory(name, region.take("base", int), region.take("size", int), region.take("kind", str))
        region.close()
        if memory.kind not in ("rom", "ram"):
            raise TinyguardError(
                f"board {table.path}: memory.{name}.kind must be rom or ram, not {memory.kind}"
            )
        regions.append(memory)
    return tuple(regions)


def _placement(table: _Table, memory: tuple[Memory, ...]) -> Mapping[str, str]:
    kinds = {region.name: region.kind for region in memory}
    placement = {part: table.take(part, str) for part in PARTS}
    table.close()
    for part, name in placement.items():
        wanted = "rom" if part in ("code", "constants") else "ram"
        if kinds.get(name) != wanted:
            raise TinyguardError(
                f"board {table.path}: placement.{part} = {name!r} is no memory of kind {wanted}"
            )
    return placement


def _numbers(table: _Table, kind: type) -> Any:
    values = {key: table.take(key, int) for key in kind.__annotations__}
    table.close()
    return kind(**values)


def _emulator(table: _Table) -> Emulator:
    emulator = Emulator(table.take("machine", str), table.strings("arguments"))
    table.close()
    return emulator


def _probe(table: _Table) -> Probe:
    probe = Probe(
        usb=tuple(_usb_id(table, text) for text in table.strings("usb")),
        openocd=table.strings("openocd"),
        pyocd=table.take("pyocd", str, None),
        stlink=table.take("stlink", bool, False),
    )
    table.close()
    return probe


def _usb_id(table: _Table, text: str) -> tuple[int, int]:
    try:
        vendor, product = (int(part, 16) for part in text.split(":"))
    except ValueError:
        raise TinyguardError(f"board {table.path}: probe.usb {text!r} is not VENDOR:PRODUCT in hex") from None
    return vendor, product
