# SPDX-License-Identifier: Apache-2.0
"""The digits network on an emulated board, over clean and over faulty lines."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.device.proxy import Faults, Proxy
from tinyguard import boards
from tinyguard.backends.device import DeviceBackend
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.codegen import build_image
from tinyguard.defenses.monte_carlo_dropout import find_sites, with_stochastic
from tinyguard.device.client import Device
from tinyguard.device.failures import PortVanishedError, WrongModelError
from tinyguard.evaluation.agreement import agreement
from tinyguard.flashing import flash, stop, stop_all
from tinyguard.graph import Graph
from tinyguard.operators import resolve
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph
from tinyguard.tflite.record.stochastic import Stochastic

pytestmark = [pytest.mark.emulator, pytest.mark.xdist_group("device-emulator")]

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
LIGHT = {"drop": 0.001, "corrupt": 0.001, "duplicate": 0.02, "reorder": 0.02}
HEAVY = {"drop": 0.01, "corrupt": 0.01, "duplicate": 0.02, "reorder": 0.02}


@pytest.fixture(scope="module")
def digits() -> Graph:
    return read_graph(DIGITS)


@pytest.fixture(scope="module")
def start(digits: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """A function that starts an emulated board with the digits network and returns its port."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))

        def run(board_name: str, graph: Graph = digits) -> str:
            board = boards.load(board_name)
            image = build_image(graph, board, tmp_path_factory.mktemp("image") / board_name)
            return str(flash(image, board)["port"])

        yield run
        # In a state folder of their own, these are all there are.
        stop_all()


@pytest.fixture(scope="module")
def port(start: Callable[[str], str]) -> str:
    return start("mps2-an500")


def _codes(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, (count, 8, 8, 1), dtype=np.int8)


def _check(port: str, digits: Graph, faults: Faults, samples: int) -> None:
    codes = _codes(samples, faults.seed)
    with Proxy(port, faults) as proxy, Device(proxy.port) as device:
        device.connect(digits.sha256)
        started = time.monotonic()
        batch = device.run(codes)
        seconds = time.monotonic() - started
        print(
            f"{samples} inferences at {samples / seconds:.1f}/s, {device.link.retries} retries, "
            f"{proxy.silences} silences, chunk {device.link.chunk.bytes}, {batch.disturbed.sum()} disturbed"
        )
        assert device.link.retries > 0
    np.testing.assert_array_equal(batch.outputs[0], ReferenceBackend(digits).run(codes)[0])
    undisturbed = batch.counts[~batch.disturbed]
    assert len(undisturbed) > 0.9 * samples
    assert np.ptp(undisturbed) < 0.01 * undisturbed.mean()


@pytest.mark.parametrize("board", ["mps2-an505", "netduinoplus2"])
def test_back_end_runs_the_network_on_a_board(start: Callable[[str], str], digits: Graph, board: str) -> None:
    codes = _codes(20, seed=1)
    backend = DeviceBackend(start(board), digits)
    outputs = backend.run(codes)
    np.testing.assert_array_equal(outputs[0], ReferenceBackend(digits).run(codes)[0])
    assert backend.device.description.board == board
    assert backend.unit == "instructions"
    assert backend.counts.shape == (20,)
    macs = sum(operator.macs for operator in resolve(digits))
    assert backend.counts.min() > macs / 2  # these cores multiply and add two pairs per instruction at most
    status = backend.device.status(repaint=True)
    assert 0 < status.stack_high_water < backend.device.description.stack_bytes
    assert status.overruns == 0
    backend.device.infer(codes[0])
    assert 0 < backend.device.status().inference_stack_bytes < status.stack_high_water
    backend.close()


def test_layers_of_a_board_are_the_references(port: str, digits: Graph) -> None:
    codes = _codes(1, seed=2)
    with Device(port) as device:
        device.connect()
        runs = list(device.run_layers(codes[0]))
        whole = device.infer(codes[0])
    assert len(runs) == device.description.layer_count
    np.testing.assert_array_equal(runs[-1].outputs[0][0], whole.outputs[0])
    assert sum(run.count for run in runs) == pytest.approx(whole.count, rel=0.01)


def test_another_model_on_the_board_is_refused(port: str) -> None:
    with Device(port) as device, pytest.raises(WrongModelError):
        device.connect("00" * 32)


def test_reset_and_reopening_keep_the_board_usable(port: str, digits: Graph) -> None:
    codes = _codes(3, seed=3)
    expected = ReferenceBackend(digits).run(codes)[0]
    for _ in range(3):
        with Device(port) as device:
            device.connect(digits.sha256)
            np.testing.assert_array_equal(device.run(codes).outputs[0], expected)
            device.reset()
            device.connect(digits.sha256)
            np.testing.assert_array_equal(device.run(codes).outputs[0], expected)


def test_light_faults(port: str, digits: Graph) -> None:
    _check(port, digits, Faults(**LIGHT, silence_every_frames=250, silence_s=2.0, seed=4), samples=150)


def test_heavy_faults(port: str, digits: Graph) -> None:
    _check(port, digits, Faults(**HEAVY, seed=5), samples=10)


@pytest.mark.slow
def test_a_thousand_inferences_with_light_faults(port: str, digits: Graph) -> None:
    _check(port, digits, Faults(**LIGHT, silence_every_frames=500, silence_s=2.0, seed=6), samples=1000)


@pytest.mark.slow
def test_a_hundred_inferences_with_heavy_faults(port: str, digits: Graph) -> None:
    _check(port, digits, Faults(**HEAVY, silence_every_frames=500, silence_s=2.0, seed=7), samples=100)


def _changes_of_seed(port: str, graph: Graph, inferences: int, changes: int) -> None:
    """With 1 % of all bytes lost each way, as many inferences per seed."""
    codes, simulator = _codes(inferences, seed=9), Simulator(graph)
    each = inferences // changes
    with Proxy(port, Faults(drop=0.01, seed=9)) as proxy, Device(proxy.port) as device:
        device.connect(graph.sha256)
        device.declare(graph.settings)
        for number in range(changes):
            part, seed = codes[number * each : (number + 1) * each], 2**63 + number
            device.set({"seed": seed})
            found = device.run(part).outputs
            assert agreement(simulator.graph, simulator.seeded(seed).run(part), found).differing_bytes == 0, (
                number
            )
        assert device.tell("seed").value == (seed,)
        assert device.link.retries > changes


@pytest.fixture(scope="module")
def stochastic() -> Graph:
    content = DIGITS.read_bytes()
    sites = find_sites(read_graph(content), ["auto"])
    return read_graph(with_stochastic(content, Stochastic(sites, 26, 3, 7)))


def test_changes_of_seed_over_a_line_that_loses_bytes(start: Callable[..., str], stochastic: Graph) -> None:
    _changes_of_seed(start("mps2-an500", stochastic), stochastic, inferences=12, changes=4)


@pytest.mark.slow
def test_two_hundred_inferences_and_twenty_changes_of_seed(
    start: Callable[..., str], stochastic: Graph
) -> None:
    _changes_of_seed(start("mps2-an500", stochastic), stochastic, inferences=200, changes=20)


def test_an_emulator_that_ends_says_resume(start: Callable[[str], str], digits: Graph) -> None:
    port = start("mps2-an386")

    def end(done: int) -> None:
        if done == 3:
            stop(port)

    with Device(port) as device:
        device.connect(digits.sha256)
        with pytest.raises(PortVanishedError, match="--resume"):
            device.run(_codes(10, seed=8), on_sample=end)
