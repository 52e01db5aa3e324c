# SPDX-License-Identifier: Apache-2.0
"""Hardened networks on emulated boards: 0 differing bytes over the serial port, and what a defense costs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.emulated.conftest import SHARED
from tests.kernels.agreement import needs_emulator
from tinyguard.backends.device import DeviceBackend
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.boards import load
from tinyguard.codegen import prepare_for
from tinyguard.data.network_codes import read_codes
from tinyguard.defenses.feature_squeezing import with_squeezing
from tinyguard.defenses.input_filters import with_filters
from tinyguard.defenses.monte_carlo_dropout import find_sites, with_stochastic
from tinyguard.device.client import Device
from tinyguard.evaluation import agreement
from tinyguard.graph import Graph
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph
from tinyguard.tflite.record.filters import parse_filter
from tinyguard.tflite.record.squeezing import Squeezing
from tinyguard.tflite.record.stochastic import Stochastic

DIGITS = Path("models/digits/model.tflite")
RESNET8 = Path("models/resnet8-cifar10/model.tflite")
WINDOWS = ("mean:2", "mean:3", "median:3", "gaussian:3")
ELEMENTS = 32 * 32 * 3

pytestmark = [pytest.mark.emulator, *needs_emulator]


def shielded(path: Path, filters: tuple[str, ...], passes: int) -> Graph:
    """Stochastic-Shield: a filter chain, and Monte Carlo dropout after the last features."""
    content = with_filters(path.read_bytes(), [parse_filter(text) for text in filters])
    sites = find_sites(read_graph(content), ["auto"])
    return read_graph(with_stochastic(content, Stochastic(sites, 26, passes, 0xFEDCBA9876543210, 1024)))


def assert_board_agrees(graph: Graph, board: str, codes: np.ndarray, flashed: Callable[..., str]) -> None:
    backend = DeviceBackend(flashed(graph, board), graph)
    try:
        found = backend.run(codes)
    finally:
        backend.close()
    assert agreement(graph, ReferenceBackend(graph).run(codes), found).differing_bytes == 0
    assert agreement(graph, Simulator(graph).run(codes), found).differing_bytes == 0


@pytest.mark.parametrize("board", ["mps2-an385", "mps2-an500", "mps3-an547"])
def test_digits_behind_filters_with_passes(board: str, flashed: Callable[..., str]) -> None:
    graph = shielded(DIGITS, ("bit-depth:3", "mean:2", "tv:1:5", "dct:50"), 10)
    assert_board_agrees(graph, board, read_codes(DIGITS, graph, "digits:test", 20)[0], flashed)


def test_a_board_draws_the_masks_of_the_seed_it_is_told(flashed: Callable[..., str]) -> None:
    graph = shielded(DIGITS, (), 10)
    codes = read_codes(DIGITS, graph, "digits:test", 5)[0]
    with Device(flashed(graph, "mps2-an500")) as device:
        device.connect(expected_sha256=graph.sha256)
        device.declare(graph.settings)
        for seed in (1, 2**63 + 5):
            device.set({"seed": seed})
            found = device.run(codes).outputs
            assert agreement(graph, Simulator(graph).seeded(seed).run(codes), found).differing_bytes == 0


def test_feature_squeezing_answers_with_distance_and_flag(flashed: Callable[..., str]) -> None:
    squeezers = tuple(parse_filter(text) for text in ("bit-depth:1", "mean:2"))
    graph = read_graph(with_squeezing(DIGITS.read_bytes(), Squeezing(squeezers, 100)))
    codes = read_codes(DIGITS, graph, "digits:test", 20)[0]
    assert_board_agrees(graph, "mps2-an500", codes, flashed)
    assert Simulator(graph).run(codes)[1][:, 1].any()


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason=f"no data at {SHARED} (set TINYGUARD_SHARED)")
@pytest.mark.parametrize("board", ["mps2-an385", "mps2-an500", "mps3-an547"])
def test_two_hundred_images_behind_filters_with_ten_passes(board: str, flashed: Callable[..., str]) -> None:
    graph = shielded(RESNET8, ("bit-depth:5", "median:3", "tv:4:20"), 10)
    assert_board_agrees(graph, board, read_codes(RESNET8, graph, "cifar10:test", 200)[0], flashed)


def layers_and_total(graph: Graph, flashed: Callable[..., str]) -> tuple[list[int], int]:
    """Instructions of each layer and of all on the M7, for speed."""
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    sample = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    with Device(flashed(graph, "mps2-an500", "speed")) as device:
        device.connect(expected_sha256=graph.sha256)
        return device.count_layers(sample), device.infer(sample).count


def test_what_filters_cost_on_resnet8(flashed: Callable[..., str]) -> None:
    """Any 3x3 filter under 3 % of the network's instructions, total variation under 15 %, no more RAM."""
    plain = read_graph(RESNET8)
    _, total = layers_and_total(plain, flashed)
    arena = prepare_for(plain, load("mps2-an500"), optimize="speed").plan.arena_bytes
    for text in (*WINDOWS, "tv:4:20"):
        graph = read_graph(with_filters(RESNET8.read_bytes(), [parse_filter(text)]))
        layers, with_filter = layers_and_total(graph, flashed)
        most = 0.15 if text.startswith("tv") else 0.03
        assert layers[0] < most * total, text
        assert with_filter - total < most * total, text
        more = prepare_for(graph, load("mps2-an500"), optimize="speed").plan.arena_bytes - arena
        assert more <= ELEMENTS, text


def test_passes_cost_their_tail(flashed: Callable[..., str]) -> None:
    """At most (prefix + passes x tail) x 1.02, both measured with one pass."""
    one, ten = (layers_and_total(shielded(RESNET8, (), passes), flashed) for passes in (1, 10))
    prefix = sum(one[0][:13])
    tail = sum(one[0][13:])
    assert ten[1] <= (prefix + 10 * tail) * 1.02
