# SPDX-License-Identifier: Apache-2.0
"""The protocol as Python declares it is the protocol as the compiler sees it."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.device.host_board import SOURCES
from tinyguard.codegen.settings_tables import C_KIND, SETTINGS_MAX
from tinyguard.device import protocol
from tinyguard.device.layout import runtime_state_bytes
from tinyguard.paths import data_folder

HEADER = data_folder("firmware") / "include" / "tinyguard" / "protocol.h"

# What HEADER calls differently, or takes from the other headers.
NAMES = {
    "TG_COUNTER_CYCLES": protocol.COUNTER_CYCLES,
    "TG_COUNTER_TICKS": protocol.COUNTER_TICKS,
    "TG_MAX_RANK": protocol.MAX_RANK,
    **{f"TG_{name.upper()}": code for code, name in protocol.DTYPES.items()},
    "TG_SETTINGS_MAX": SETTINGS_MAX,
    **{C_KIND[kind]: code for code, kind in protocol.SETTING_KINDS.items()},
}


def _declared() -> dict[str, int]:
    plain = ["PROTOCOL_VERSION", "REPLY", "NO_LAYER", "CHUNK_MIN", "CHUNK_MAX", "FLAG_DISTURBED"]
    plain += ["HEADER_BYTES", "FIXED_BYTES", "CRC_BYTES"]
    constants = {f"TG_{name}": getattr(protocol, name) for name in plain}
    constants |= {f"TG_{command.name}": command.value for command in protocol.Command}
    constants |= {f"TG_ERROR_{code.name}": code.value for code in protocol.ErrorCode if code}
    constants |= {f"TG_DESCRIBE_{kind.name}": kind.value for kind in protocol.Describe}
    constants |= {f"TG_SETTINGS_{what.name}": what.value for what in protocol.Settings}
    return constants | {"TG_OK": protocol.ErrorCode.OK.value}


def _compiled(folder: Path, names: set[str], chunk_bytes: int) -> dict[str, int]:
    lines = [f"CONSTANT({name});" for name in sorted(names)]
    for layout in protocol.LAYOUTS:
        lines.append(f"STRUCT({layout.name});")
        lines += [f"FIELD({layout.name}, {field});" for field in layout.fields]
    lines.append("STRUCT(tg_link_state);")
    (folder / "contract_body.h").write_text("\n".join(lines) + "\n")
    firmware = data_folder("firmware")
    includes = [f"-I{path}" for path in (folder, firmware / "include", firmware / "runtime", SOURCES)]
    command = [
        "gcc",
        "-std=c11",
        f"-DTG_CHUNK_BYTES={chunk_bytes}",
        *includes,
        "-o",
        str(folder / "contract"),
    ]
    subprocess.run([*command, str(SOURCES / "contract.c")], check=True)
    printed = subprocess.run([folder / "contract"], check=True, capture_output=True, text=True).stdout
    return {name: int(value) for name, value in (line.rsplit(" ", 1) for line in printed.splitlines())}


def test_every_constant_and_layout_agrees_with_the_header(tmp_path: Path) -> None:
    expected = _declared() | NAMES
    for layout in protocol.LAYOUTS:
        expected[f"sizeof({layout.name})"] = layout.size
        expected |= {f"{layout.name}.{field}": layout.offset(field) for field in layout.fields}
    expected["sizeof(tg_link_state)"] = runtime_state_bytes(256)
    assert _compiled(tmp_path, set(_declared() | NAMES), 256) == expected


def test_the_header_has_nothing_that_python_does_not_declare() -> None:
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    constants = set(re.findall(r"^#define (TG_\w+) [\dx]", text, re.MULTILINE))
    constants |= set(re.findall(r"\b(TG_\w+) = \d", text))
    assert constants == set(_declared())
    assert set(re.findall(r"^\} (tg_\w+);", text, re.MULTILINE)) == {x.name for x in protocol.LAYOUTS}


@pytest.mark.parametrize("chunk_bytes", [32, 64, 248, 256, 2048, 16384])
def test_state_of_the_runtime_is_known_without_compiling(tmp_path: Path, chunk_bytes: int) -> None:
    compiled = _compiled(tmp_path, set(), chunk_bytes)
    assert compiled["sizeof(tg_link_state)"] == runtime_state_bytes(chunk_bytes)
