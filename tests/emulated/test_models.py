# SPDX-License-Identifier: Apache-2.0
"""The MLPerf Tiny networks on every emulated Cortex-M: 0 differing bytes over the serial port."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.emulated.conftest import SHARED
from tests.operators.oracles import tflite_micro
from tinyguard.backends.litert import LiteRTBackend
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.device.client import Device
from tinyguard.evaluation import agreement
from tinyguard.operators.target import GOALS
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph

SAMPLES = {"pretrainedResnet_quant": 200, "kws_ref_model": 200, "vww_96_int8": 20}
BOARDS = ("mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")

pytestmark = pytest.mark.skipif(
    not (SHARED / "models").is_dir(), reason=f"no shared networks at {SHARED} (set TINYGUARD_SHARED)"
)
every_model = pytest.mark.parametrize("model", SAMPLES)


def _runtimes_agree(model: str, codes: np.ndarray) -> None:
    path = SHARED / "models" / f"{model}.tflite"
    graph = read_graph(path)
    exact = Simulator(graph).run(codes)
    assert agreement(graph, exact, LiteRTBackend(path).run(codes)).differing_bytes == 0
    assert agreement(graph, exact, ReferenceBackend(graph).run(codes)).differing_bytes == 0
    micro = tflite_micro(path.read_bytes(), [codes[:, None]], 1)
    assert agreement(graph, exact, [micro[0].reshape(exact[0].shape)]).differing_bytes == 0


def _board_agrees(
    model: str, board: str, codes: np.ndarray, flashed: Callable[..., str], optimize: str, batch: int = 50
) -> None:
    graph = read_graph(SHARED / "models" / f"{model}.tflite")
    exact = Simulator(graph).run(codes)
    with Device(flashed(graph, board, optimize)) as device:
        device.connect(expected_sha256=graph.sha256)
        for start in range(0, len(codes), batch):
            answer = device.run(codes[start : start + batch])
            assert agreement(graph, [exact[0][start : start + batch]], answer.outputs).differing_bytes == 0


@every_model
def test_simulator_reference_and_both_oracles_agree(model, shared_codes):
    _runtimes_agree(model, shared_codes(model, 5))


@pytest.mark.slow
@every_model
def test_simulator_reference_and_both_oracles_agree_on_many(model, shared_codes):
    _runtimes_agree(model, shared_codes(model, SAMPLES[model]))


@pytest.mark.emulator
@every_model
@pytest.mark.parametrize(
    ("board", "optimize"),
    [("mps2-an385", "balanced"), ("mps2-an500", "speed"), ("mps2-an500", "size"), ("mps3-an547", "size")],
)
def test_the_board_agrees(model, board, optimize, shared_codes, flashed):
    _board_agrees(model, board, shared_codes(model, 3), flashed, optimize)


@pytest.mark.slow
@pytest.mark.emulator
@every_model
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("optimize", GOALS)
def test_the_board_agrees_on_many(model, board, optimize, shared_codes, flashed):
    _board_agrees(model, board, shared_codes(model, SAMPLES[model]), flashed, optimize)
