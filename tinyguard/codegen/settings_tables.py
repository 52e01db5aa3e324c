# SPDX-License-Identifier: Apache-2.0
"""Settings in generated C: where each lies in the arena, and the tables that the runtime checks them by; the
tables of output lengths and of stages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Setting
from tinyguard.graph.multi_exit import stages_of
from tinyguard.graph.settings import to_words

SETTINGS_MAX = 32  # the runtime keeps a bit for each
C_KIND = {"bool": "TG_BOOL", "int32": "TG_NUMBER", "uint64": "TG_WIDE", "int32[]": "TG_NUMBERS"}
_BYTES = 4
_WIDE_BYTES = 8


def layout(settings: Sequence[Setting], start: int) -> tuple[dict[str, int], int]:
    """Offset of each setting by name, in declared order from `start` on, and the end of the last.

    Raises TinyguardError for more than SETTINGS_MAX settings and for a name twice.
    """
    if len(settings) > SETTINGS_MAX:
        raise TinyguardError(
            f"the network declares {len(settings)} settings; at most {SETTINGS_MAX} are possible"
        )
    offsets: dict[str, int] = {}
    for setting in settings:
        if macro_name(setting) in map(_macro, offsets):
            raise TinyguardError(f"the network declares the setting {setting.name!r} twice, as C has it")
        unit = _WIDE_BYTES if setting.kind == "uint64" else _BYTES
        offsets[setting.name] = -(-start // unit) * unit
        start = offsets[setting.name] + unit * len(setting.value)
    return offsets, start


def macro_name(setting: Setting) -> str:
    """The setting's name as a part of C macros."""
    return _macro(setting.name)


def _macro(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def settings_table(settings: Sequence[Setting], arena: str, offsets: dict[str, int], prefix: str) -> str:
    """C of the array of tg_setting, with what it points to; empty where there are none."""
    if not settings:
        return ""
    parts, rows = [], []
    named: dict[tuple[int, ...], str] = {}  # equal arrays are one
    for number, setting in enumerate(settings):
        limits = [limit for pair in setting.ranges for limit in pair]
        parts.append(f"/* {macro_name(setting)} */")
        names = []
        for role, entries in (("value", setting.value), ("ranges", limits)):
            words = tuple(to_words(setting.kind, entries))
            if words not in named:
                named[words] = f"{prefix}_setting_{number:02d}_{role}"
                parts.append(_words(named[words], words))
            names.append(named[words])
        rows.append(
            f"    {{(uint32_t *)(void *)({arena} + {offsets[setting.name]}), {', '.join(names)}, "
            f"{len(setting.value)}, {C_KIND[setting.kind]}, {int(setting.drawn)}}},"
        )
    return "\n".join([*parts, f"static const tg_setting {prefix}_settings[] = {{", *rows, "};", ""])


def _words(name: str, values: Sequence[int]) -> str:
    printed = [f"0x{value:08x}u," for value in values]
    lines = ["    " + " ".join(printed[i : i + 8]) for i in range(0, len(printed), 8)]
    return "\n".join([f"static const uint32_t {name}[] = {{", *lines, "};"])


def lengths_table(graph: Graph, arena: str, tensor_offset: dict[int, int], prefix: str) -> str:
    """C of the array that says where the used bytes of each output are counted; empty where all are plain."""
    if not graph.lengths:
        return ""
    rows = [
        f"    (const uint32_t *)(void *)({arena} + {tensor_offset[graph.lengths[index]]}),"
        if index in graph.lengths
        else "    0,"
        for index in graph.outputs
    ]
    return "\n".join([f"static const uint32_t *const {prefix}_output_used[] = {{", *rows, "};", ""])


def stages_table(graph: Graph, prefix: str) -> str:
    """C of the array of the layers after which stages end; empty for a network without exits."""
    ends = [stage.end for stage in stages_of(graph)]
    if not ends:
        return ""
    return f"static const uint16_t {prefix}_stage_ends[] = {{{', '.join(map(str, ends))}}};\n"
