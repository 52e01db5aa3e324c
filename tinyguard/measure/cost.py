# SPDX-License-Identifier: Apache-2.0
"""What a network costs on an emulated board, and what one costs more than another."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyguard.codegen import build_prepared, prepare_for
from tinyguard.device.client import Device
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.measure.bench import bench, random_sample, started

if TYPE_CHECKING:
    from tinyguard.boards import Board


@dataclass(frozen=True)
class Cost:
    """An inference in instructions, as `tinyguard bench` counts them, and the image's sizes in bytes."""

    board: str
    instructions: int
    ram_bytes: int
    flash_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """For a file, and for --json."""
        return asdict(self)

    def beyond(self, other: Cost) -> dict[str, int]:
        """What this one takes more than `other`."""
        return {
            "instructions": self.instructions - other.instructions,
            "ram_bytes": self.ram_bytes - other.ram_bytes,
            "flash_bytes": self.flash_bytes - other.flash_bytes,
        }


def check_emulated(board: Board) -> Board:
    """`board`. Raises TinyguardError where it is hardware, which runs one network at a time."""
    if board.emulator is None:
        raise TinyguardError(f"{board.name} is hardware: type --board mps2-an500, or --no-cost")
    return board


def measure_cost(graph: Graph, board: Board) -> Cost:
    """Build `graph` for a virtual board, run an inference on it, stop it again.

    Raises TinyguardError for hardware, and for what building, starting and asking a board raise.
    """
    source = prepare_for(graph, check_emulated(board))
    with tempfile.TemporaryDirectory(prefix="tinyguard-") as folder:
        image = build_prepared(source, board, Path(folder) / "firmware")
        with started(image, board) as port, Device(port) as device:
            device.connect(expected_sha256=graph.sha256)
            run = bench(device, source, board, random_sample(graph), image.flash_bytes)
    return Cost(board.name, run.per_inference, image.ram_bytes, image.flash_bytes)
