# SPDX-License-Identifier: Apache-2.0
"""What the defenses of a study cost on an emulated board, measured once and kept beside its pieces."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

from tinyguard.boards import Board
from tinyguard.campaigns.study import NetworkEntry, Study
from tinyguard.codegen import generate
from tinyguard.errors import TinyguardError
from tinyguard.files import write_atomically
from tinyguard.graph import Graph
from tinyguard.measure.cost import Cost, measure_cost
from tinyguard.tflite import read_graph


def costs_of(study: Study, board: Board, folder: Path) -> dict[str, Cost | str]:
    """The cost of every network by its name, or why it has none (too large for the board,
    a defense on the host).

    What was measured before lies in `folder`, by the network, the board and all that is built for both.
    """
    costs: dict[str, Cost | str] = {}
    for network in study.networks:
        try:
            purifier = network.purifier
            costs[network.name] = purifier.cost() if purifier else _cost(network, board, folder)
        except TinyguardError as error:
            costs[network.name] = str(error)
    return costs


def _cost(network: NetworkEntry, board: Board, folder: Path) -> Cost:
    graph = read_graph(Path(network.model))
    path = folder / f"{graph.sha256[:16]}-{board.name}-{project_digest(graph, board)[:16]}.json"
    try:
        return Cost(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        cost = measure_cost(graph, board)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(cost.as_dict()) + "\n")
    return cost


def project_digest(graph: Graph, board: Board) -> str:
    """A hash of all that is built for `graph` on `board`: network, kernels, run time, Makefile."""
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory(prefix="tinyguard-") as place:
        project = Path(place) / "firmware"
        generate(graph, board, project)
        for path in sorted(path for path in project.rglob("*") if path.is_file()):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(project).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()
