# SPDX-License-Identifier: Apache-2.0
"""Networks with exits on emulated boards: the host's bytes under every policy, and what exits cost."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.exits.boards import assert_nothing_is_lost, assert_policies, connected
from tests.exits.networks import POLICIES, codes, exits_file, plain_file
from tests.kernels.agreement import needs_emulator
from tinyguard.boards import load
from tinyguard.codegen import build_image
from tinyguard.device.client import Device
from tinyguard.exits.measured import measure
from tinyguard.flashing import flash, stop
from tinyguard.graph.exit_policy import Policy
from tinyguard.graph.multi_exit import stages_of
from tinyguard.tflite import read_graph

BOARDS = ("mps2-an386", "mps2-an500", "mps3-an547")  # M4, M7, M55
X = codes(40)
SIZE = 16  # of the images of the network whose instructions are counted
COUNTED = codes(30, size=SIZE)

pytestmark = [pytest.mark.emulator, *needs_emulator]


@pytest.mark.parametrize("board", BOARDS)
def test_policies_change_without_a_reset_and_answers_are_the_hosts(
    board: str, flashed: Callable[..., str]
) -> None:
    graph = read_graph(exits_file())
    with Device(flashed(graph, board)) as device:
        assert_policies(connected(device, graph), graph, X, POLICIES)


@pytest.mark.parametrize(
    ("board", "changes", "runs"),
    [
        ("mps2-an500", 3, 5),
        *(pytest.param(board, 20, 10, marks=pytest.mark.slow, id=f"{board}-full") for board in BOARDS),
    ],
)
def test_a_line_that_loses_bytes_changes_no_answer_and_no_policy(
    board: str, changes: int, runs: int, flashed: Callable[..., str]
) -> None:
    graph = read_graph(exits_file())
    print(board, assert_nothing_is_lost(flashed(graph, board), graph, X, changes, runs))


@dataclass(frozen=True)
class Cost:
    """Bytes of flash, of the arena and of the layers' stack; instructions of each layer, int64 (L,), and of
    the whole network on some samples, int64 (N,). An interrupt adds some hundred to one count in many."""

    flash_bytes: int
    arena_bytes: int
    stack_bytes: int
    layers: np.ndarray
    counts: np.ndarray


def _cost(content: bytes, x: np.ndarray, board: str, folder: Path) -> Cost:
    """What a file takes, balanced."""
    graph = read_graph(content)
    image = build_image(graph, load(board), folder, optimize="balanced")
    port = flash(image, load(board))["port"]
    try:
        with Device(port) as device:
            arena_bytes = device.connect(graph.sha256).arena_bytes
            stack_bytes = min(_stack_bytes(device, sample) for sample in x[:10])
            counts = device.run(x).counts
            layers = np.min([device.count_layers(x[0]) for _ in range(3)], axis=0)
    finally:
        stop(port)
    return Cost(image.flash_bytes, arena_bytes, stack_bytes, layers, counts)


def _stack_bytes(device: Device, sample: np.ndarray) -> int:
    """What the layers of one inference take, and the interrupts that come at their deepest."""
    device.status(repaint=True)
    device.infer(sample)
    return device.status().inference_stack_bytes


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Cost]:
    """What the same file takes without the record, by board."""

    @functools.cache
    def cost(board: str) -> Cost:
        return _cost(plain_file(size=SIZE), COUNTED, board, tmp_path_factory.mktemp("plain") / "image")

    return cost


@pytest.mark.parametrize(
    ("board", "answer"),
    [
        ("mps2-an386", "taken"),
        ("mps2-an500", "taken"),
        ("mps2-an500", "mean"),
        pytest.param("mps2-an386", "mean", marks=pytest.mark.slow),
    ],
)
def test_what_exits_cost(board: str, answer: str, plain: Callable[[str], Cost], tmp_path: Path) -> None:
    policy = Policy("margin", (24, 15))
    content = exits_file(policy, answer, size=SIZE)
    graph, without = read_graph(content), plain(board)
    gated = _cost(content, COUNTED, board, tmp_path / "gated")
    assert gated.flash_bytes - without.flash_bytes <= 2560
    assert gated.arena_bytes - without.arena_bytes <= 256
    assert gated.stack_bytes - without.stack_bytes <= 64

    stages, taken = stages_of(graph), measure(graph, COUNTED).taken(policy)
    assert max(gated.layers[stage.end - 1] for stage in stages) <= 1500
    costs = np.array([sum(gated.layers[: stage.end]) for stage in stages])
    leaving = [gated.counts[taken == place] for place in range(len(stages))]
    np.testing.assert_allclose([np.median(counts) for counts in leaving], costs, rtol=0.002)
    shares = np.array([len(counts) for counts in leaving]) / len(COUNTED)
    np.testing.assert_allclose(gated.counts.mean(), shares @ costs, rtol=0.002)
    most = max(0.01 * np.median(without.counts), 1500 * len(stages))
    assert np.median((gated.counts - without.counts)[taken == len(stages) - 1]) <= most
