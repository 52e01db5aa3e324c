# SPDX-License-Identifier: Apache-2.0
"""What of an image's flash the network itself takes: GNU ld's map, read back."""

import re
from pathlib import Path

from tinyguard.errors import TinyguardError

_START = "Linker script and memory map"
_PIECE = re.compile(r"^ (\.[\w.$]+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$", re.MULTILINE)
_STORED = (".vectors", ".text", ".rodata", ".tg_constants", ".ARM.ex")
_RUNTIME = re.compile(r"build/(runtime|ports)/")
_STARTUP = "startup.c.o"
# Names, shapes and scales of tensors, which only the protocol tells.
_DESCRIPTION = re.compile(r"\.rodata\.\w+_(inputs|outputs|layers|the_model)$")


def network_flash_bytes(directory: Path) -> int:
    """Bytes of kernels, constants, vectors and startup in the image that make left in `directory`/build.

    Without protocol, UART, clock and the description of tensors: what a firmware of one's own would gain
    by linking the network. Raises TinyguardError when there is no map.
    """
    path = Path(directory) / "build" / "firmware.map"
    try:
        text = path.read_text(errors="replace")
    except OSError:
        raise TinyguardError(f"no {path}; type: make -C {directory}") from None
    _, _, layout = text.partition(_START)
    total = 0
    for section, _, size, origin in _PIECE.findall(layout):
        if not section.startswith(_STORED) or _DESCRIPTION.search(section):
            continue
        if not _RUNTIME.search(origin) or origin.endswith(_STARTUP):
            total += int(size, 16)
    return total
