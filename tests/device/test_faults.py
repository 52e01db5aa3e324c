# SPDX-License-Identifier: Apache-2.0
"""Every answer right and none lost over a line that drops, breaks, repeats, reorders and falls silent."""

import time
from pathlib import Path

import numpy as np
import pytest

from tests.device.host_board import MODEL_SHA256, HostBoard, fake_inputs, fake_layers
from tests.device.proxy import Faults, Proxy
from tinyguard.device.client import Device

LIGHT = Faults(drop=0.001, corrupt=0.001, duplicate=0.02, reorder=0.02)
HEAVY = Faults(drop=0.01, corrupt=0.01, duplicate=0.02, reorder=0.02)


def _with(faults: Faults, **changes: float) -> Faults:
    return Faults(**{**faults.__dict__, **changes})  # type: ignore[arg-type]


def _check(board: HostBoard, faults: Faults, samples: int, x: int = 60) -> None:
    inputs = fake_inputs(samples, seed=samples, x=x)
    with Proxy(board.port, faults) as proxy, Device(proxy.port) as device:
        device.connect(MODEL_SHA256)
        started = time.monotonic()
        batch = device.run(*inputs)
        seconds = time.monotonic() - started
        print(
            f"{samples / seconds:.1f} inferences/s, {device.link.retries} retries, {proxy.silences} silences"
        )
        assert device.link.retries > 0 or faults.duplicate > 0
        assert proxy.to_board.frames >= samples
    total, backwards = fake_layers(*inputs)[2]
    np.testing.assert_array_equal(batch.outputs[0], total)
    np.testing.assert_array_equal(batch.outputs[1], backwards)
    assert batch.counts[~batch.disturbed].tolist() == [6 * x] * int((~batch.disturbed).sum())


def test_light_faults_with_silences(host_board: HostBoard) -> None:
    _check(host_board, _with(LIGHT, silence_every_frames=400, silence_s=2.0, seed=1), samples=300)


def test_heavy_faults(host_board: HostBoard) -> None:
    _check(host_board, _with(HEAVY, seed=2), samples=40)


def test_heavy_faults_on_samples_of_many_frames(large_board: HostBoard) -> None:
    _check(large_board, _with(HEAVY, seed=3), samples=2, x=3000)


@pytest.mark.parametrize("fault", ["drop", "corrupt", "duplicate", "reorder"])
def test_one_kind_of_fault_alone(host_board: HostBoard, fault: str) -> None:
    rate = 0.005 if fault in ("drop", "corrupt") else 0.1
    _check(host_board, _with(Faults(), **{fault: rate, "seed": 4}), samples=60)


def test_three_seconds_of_silence_change_nothing(host_board: HostBoard) -> None:
    inputs = fake_inputs(20, seed=5)
    with Proxy(host_board.port, Faults()) as proxy, Device(proxy.port) as device:
        device.connect()
        batch = device.run(*inputs, on_sample=lambda done: proxy.mute(3.0) if done == 10 else None)
        assert device.link.chunk.bytes >= 64
    np.testing.assert_array_equal(batch.outputs[0], fake_layers(*inputs)[2][0])


def test_layers_are_read_through_faults(large_board: HostBoard) -> None:
    inputs = fake_inputs(1, seed=6, x=3000)
    with Proxy(large_board.port, _with(LIGHT, seed=6)) as proxy, Device(proxy.port) as device:
        device.connect()
        runs = list(device.run_layers(*(array[0] for array in inputs)))
    for run, layer in zip(runs, fake_layers(*inputs), strict=True):
        for output, right in zip(run.outputs, layer, strict=True):
            np.testing.assert_array_equal(output, right)


@pytest.mark.slow
def test_a_thousand_inferences_with_light_faults(host_board: HostBoard) -> None:
    _check(host_board, _with(LIGHT, silence_every_frames=1000, silence_s=2.0, seed=7), samples=1000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_hundred_inferences_with_heavy_faults(host_board_binary: Path, seed: int) -> None:
    with HostBoard(host_board_binary) as board:
        _check(board, _with(HEAVY, seed=8 + seed), samples=100)
