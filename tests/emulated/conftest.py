# SPDX-License-Identifier: Apache-2.0
"""Where the shared networks and data lie, and boards that are stopped whatever happens."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tinyguard.boards import load
from tinyguard.codegen import build_image
from tinyguard.flashing import flash, stop
from tinyguard.graph import Graph

SHARED = Path(os.environ.get("TINYGUARD_SHARED", Path(__file__).parents[3] / "shared"))


@pytest.fixture
def flashed(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A function that builds a graph for a board, starts it, and returns its port."""
    ports: list[str] = []

    def start(graph: Graph, board: str, optimize: str = "balanced") -> str:
        image = build_image(graph, load(board), tmp_path / f"{board}-{len(ports)}", optimize=optimize)
        ports.append(flash(image, load(board))["port"])
        return ports[-1]

    yield start
    for port in ports:
        stop(port)


@pytest.fixture
def shared_codes() -> Callable[[str, int], np.ndarray]:
    """Input codes of an MLPerf Tiny network: test images, keywords, or random codes for VWW."""

    def codes(model: str, count: int) -> np.ndarray:
        if model == "vww_96_int8":
            return np.random.default_rng(0).integers(-128, 128, (count, 96, 96, 3)).astype(np.int8)
        if model == "kws_ref_model":
            return np.load(SHARED / "data" / "kws" / "test.npz")["x"][:count]
        from tinyguard.data import load_data

        pixels = load_data("cifar10:test", limit=count).x
        return (pixels ^ np.uint8(128)).view(np.int8)

    return codes
