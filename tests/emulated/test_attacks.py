# SPDX-License-Identifier: Apache-2.0
"""Attacks by queries over the serial port walk as on the simulator: every query's input and output."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.device.proxy import Faults, Proxy
from tinyguard.attacks.problem import Attack, Outcome, Problem
from tinyguard.attacks.space import space_of
from tinyguard.attacks.square import Square
from tinyguard.attacks.victim import IntegerVictim
from tinyguard.backends import Backend
from tinyguard.backends.device import DeviceBackend
from tinyguard.backends.recorded import Recorded
from tinyguard.data import load_data, to_codes
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
GRAPH, METADATA = read_graph(DIGITS), read_metadata(DIGITS)

pytestmark = pytest.mark.emulator


def _attack(backend: Backend | None, attack: Attack, count: int) -> tuple[Outcome, Recorded]:
    """The attack on the first digits that are classified right, asking `backend`."""
    assert METADATA is not None
    tensor, simulator = GRAPH.tensors[GRAPH.inputs[0]], Simulator(GRAPH)
    samples = load_data("digits:test", tensor, limit=2 * count)
    assert samples.y is not None
    space = space_of(tensor, METADATA.normalization)
    x, y = space.shares(to_codes(samples, tensor, METADATA)), torch.from_numpy(samples.y).long()
    right = IntegerVictim(simulator, space).query(x).decided == y
    recorded = Recorded(backend or simulator)
    victim = IntegerVictim(simulator, space, backend=recorded)
    everyone = Problem(victim, x, y, None, torch.arange(len(x)), seed=1)
    return attack.run(everyone.select(torch.nonzero(right)[:count, 0])), recorded


def _assert_equal(board: tuple[Outcome, Recorded], host: tuple[Outcome, Recorded]) -> None:
    (reached, asked), (expected, simulated) = board, host
    assert (asked.name, simulated.name) == ("device", "simulator")
    assert len(asked.inputs) == len(simulated.inputs)
    for kind in ("inputs", "outputs"):
        for there, here in zip(getattr(asked, kind), getattr(simulated, kind), strict=True):
            assert there[0].dtype == here[0].dtype
            np.testing.assert_array_equal(there[0], here[0])
    assert torch.equal(reached.x, expected.x)
    assert torch.equal(reached.success, expected.success)
    assert torch.equal(reached.queries, expected.queries)
    assert sum(len(x) for (x,) in asked.inputs) == int(expected.queries.sum())


def _over_serial(port: str, attack: Attack, count: int, silent_after: int | None = None) -> None:
    host = _attack(None, attack, count)
    with Proxy(port, Faults()) as proxy:
        backend = DeviceBackend(proxy.port, GRAPH)
        runs = iter(range(1 << 30))

        def mute(done: int) -> None:
            if next(runs) == silent_after:
                threading.Timer(0.01, proxy.mute, [3.0]).start()

        backend.on_sample = mute
        try:
            board = _attack(backend, attack, count)
        finally:
            backend.close()
        assert proxy.silences == (silent_after is not None)
    _assert_equal(board, host)
    print(f"{int(host[0].queries.sum())} queries, {backend.device.link.retries} retries")


@pytest.mark.parametrize("norm", ["linf", pytest.param("l2", marks=pytest.mark.slow)])
def test_square_walks_over_serial_as_on_the_simulator(flashed: Callable[..., str], norm: str) -> None:
    eps = 20 / 255 if norm == "linf" else 0.5
    _over_serial(flashed(GRAPH, "mps2-an500"), Square(eps, norm, queries=60), count=5)


def test_three_silent_seconds_change_nothing(flashed: Callable[..., str]) -> None:
    _over_serial(flashed(GRAPH, "mps2-an500"), Square(20 / 255, queries=40), count=5, silent_after=70)


@pytest.mark.slow
@pytest.mark.parametrize("silent_after", [None, 1500])
def test_square_of_300_queries_on_20_images(flashed: Callable[..., str], silent_after: int | None) -> None:
    _over_serial(flashed(GRAPH, "mps2-an500"), Square(20 / 255, queries=300), 20, silent_after)
