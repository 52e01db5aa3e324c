# SPDX-License-Identifier: Apache-2.0
"""What commands that take a network or a board share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tinyguard.device.description import Description
    from tinyguard.graph import Graph

model_argument = click.argument("model", type=click.Path(path_type=Path))


def board_port(serial: str) -> str:
    """The port that --serial names; `auto` finds the one board that is there."""
    from tinyguard.flashing.ports import find_port

    return find_port().port if serial == "auto" else serial


def image_sizes(graph: Graph, port: str, description: Description) -> tuple[int | None, int | None]:
    """Flash and RAM in bytes of the image on the board at `port`, None when it was built elsewhere."""
    from tinyguard import boards
    from tinyguard.codegen import built_image
    from tinyguard.flashing import emulator_of

    emulator = emulator_of(port)
    if emulator is not None:
        return emulator.flash_bytes, emulator.ram_bytes
    if description.board not in boards.names():
        return None, None
    image = built_image(graph, boards.load(description.board), description.build)
    return (image.flash_bytes, image.ram_bytes) if image else (None, None)
