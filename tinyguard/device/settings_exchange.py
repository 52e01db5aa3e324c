# SPDX-License-Identifier: Apache-2.0
"""The settings of the network on a board: told, set and put back."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tinyguard.device.failures import DeviceError, NonsenseError
from tinyguard.device.handshake import PATIENCE_S, ask
from tinyguard.device.link import Link
from tinyguard.device.protocol import (
    CHUNK_MIN,
    FIXED_BYTES,
    SETTING_KINDS,
    SETTINGS_ENTRY,
    TELL_REPLY,
    TELL_REQUEST,
    Command,
    ErrorCode,
    Settings,
)
from tinyguard.errors import TinyguardError
from tinyguard.graph import Setting
from tinyguard.graph.settings import from_words, to_words

_WORD_BYTES = 4
_WORDS_A_FRAME = CHUNK_MIN // _WORD_BYTES


@dataclass(frozen=True)
class Told:
    """`value`: of the last inference, or in force for the next. `drawn`: the board draws one before each."""

    value: tuple[int, ...]
    drawn: bool


def check_table(link: Link, settings: Sequence[Setting]) -> None:
    """Raise TinyguardError where the board's table of settings is not this one."""
    for index, setting in enumerate(settings):
        try:
            fields, _ = _tell(link, index, 0, 0)
        except DeviceError as error:
            if error.code != ErrorCode.INDEX:
                raise
            fields = {"setting_count": 0, "kind": 0, "count": 0}
        kind = SETTING_KINDS.get(fields["kind"])
        if (fields["setting_count"], kind, fields["count"]) != (
            len(settings),
            setting.kind,
            len(setting.value),
        ):
            raise TinyguardError(
                f"the board on {link.port} has other settings than this network (at {setting.name}): flash "
                "again: tinyguard flash MODEL --board B"
            )


def tell(link: Link, settings: Sequence[Setting], name: str) -> Told:
    """The value of one setting on the board."""
    index = _index(settings, name)
    setting = settings[index]
    count = len(to_words(setting.kind, setting.value))
    words: list[int] = []
    drawn = False
    while len(words) < count:
        fields, part = _tell(link, index, len(words), min(_WORDS_A_FRAME, count - len(words)))
        words += part
        drawn = bool(fields["drawn"])
    return Told(from_words(setting.kind, words), drawn)


def fits_a_frame(link: Link, settings: Sequence[Setting], values: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether `set_values` can give these values at once."""
    return len(_request(settings, values)) <= link.chunk.longest + FIXED_BYTES


def set_values(link: Link, settings: Sequence[Setting], values: Mapping[str, tuple[int, ...]]) -> None:
    """Give values to some settings, all of them or none. Raises TinyguardError where a frame is too small."""
    if not fits_a_frame(link, settings, values):
        raise TinyguardError(
            f"{len(values)} settings do not fit one frame of the board on {link.port}: set fewer at once"
        )
    ask(link, Command.SETTINGS, _request(settings, values), 0)


def restore(link: Link, settings: Sequence[Setting], names: Iterable[str]) -> None:
    """Put settings back to the file's values, or to being drawn."""
    indices = [_index(settings, name) for name in names]
    if indices:
        payload = bytes([Settings.RESTORE]) + struct.pack(f"<{len(indices)}H", *indices)
        ask(link, Command.SETTINGS, payload, 0)


def _request(settings: Sequence[Setting], values: Mapping[str, tuple[int, ...]]) -> bytes:
    payload = bytes([Settings.SET])
    for name, value in values.items():
        index = _index(settings, name)
        words = to_words(settings[index].kind, value)
        payload += SETTINGS_ENTRY.pack(index=index, words=len(words))
        payload += struct.pack(f"<{len(words)}I", *words)
    return payload


def _index(settings: Sequence[Setting], name: str) -> int:
    for index, setting in enumerate(settings):
        if setting.name == name:
            return index
    known = ", ".join(setting.name for setting in settings)
    raise TinyguardError(f"no setting named {name!r}; known: {known or 'none'}")


def _tell(link: Link, index: int, first: int, words: int) -> tuple[dict[str, int], tuple[int, ...]]:
    request = TELL_REQUEST.pack(what=Settings.TELL, index=index, first=first, words=words)
    size = TELL_REPLY.size + _WORD_BYTES * words
    reply = link.request(Command.SETTINGS, request, patience_s=PATIENCE_S, reply_bytes=size)
    if len(reply) != size:
        raise NonsenseError(link.port, Command.SETTINGS)
    return TELL_REPLY.unpack(reply), struct.unpack_from(f"<{words}I", reply, TELL_REPLY.size)
