# SPDX-License-Identifier: Apache-2.0
"""A decision attack on a board goes the way it goes on the simulator, query by query."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.attacks.test_decision import assert_same, digits_problem
from tinyguard.attacks.boundary import Boundary
from tinyguard.backends.device import DeviceBackend
from tinyguard.backends.recorded import Recorded
from tinyguard.graph import Graph
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("images", "queries"), [(2, 60), pytest.param(20, 300, marks=pytest.mark.slow)], ids=["short", "full"]
)
def test_every_query_and_answer_equals_the_simulators(
    images: int, queries: int, flashed: Callable[[Graph, str], str]
) -> None:
    graph = read_graph(DIGITS)
    board = DeviceBackend(flashed(graph, "mps2-an500"), graph)
    attack = Boundary(max_queries=queries)
    try:
        runs = [Recorded(Simulator(graph)), Recorded(board)]
        problems = [digits_problem(graph, images + 2, backend) for backend in runs]
        outcomes = [attack.run(problem.select(torch.arange(images))) for problem in problems]
    finally:
        board.close()
    assert_same(*outcomes)
    assert int(outcomes[0].queries.max()) <= queries
    asked = sum(len(inputs[0]) for inputs in runs[0].inputs)
    assert asked == int(outcomes[0].queries.sum())
    for here, there in zip(runs[0].inputs + runs[0].outputs, runs[1].inputs + runs[1].outputs, strict=True):
        assert here[0].dtype == there[0].dtype
        assert here[0].tobytes() == there[0].tobytes()
