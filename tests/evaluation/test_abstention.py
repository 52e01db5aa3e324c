# SPDX-License-Identifier: Apache-2.0
"""Abstention: the curve of what is kept, and the command that draws it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tinyguard.cli import group
from tinyguard.data.network_codes import read_codes
from tinyguard.defenses.monte_carlo_dropout import find_sites, with_stochastic
from tinyguard.errors import TinyguardError
from tinyguard.evaluation.abstention import abstention
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph
from tinyguard.tflite.record.stochastic import Stochastic

DIGITS = Path("models/digits/model.tflite")


@pytest.fixture
def stochastic(tmp_path: Path) -> Path:
    path = tmp_path / "stochastic.tflite"
    sites = find_sites(read_graph(DIGITS), ["auto"])
    path.write_bytes(with_stochastic(DIGITS.read_bytes(), Stochastic(sites, 51, 10, 1)))
    return path


def noisy_digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    codes, labels = read_codes(DIGITS, read_graph(DIGITS), "digits:test", None)
    noise = np.random.default_rng(4).normal(0, 70, codes.shape)
    codes = np.clip(codes + noise, -128, 127).astype(np.int8)
    assert labels is not None
    np.savez(path, x=codes, y=labels)
    return codes, labels


def test_what_is_kept_is_right_more_often(stochastic: Path, tmp_path: Path) -> None:
    graph = read_graph(stochastic)
    codes, labels = noisy_digits(tmp_path / "noisy.npz")
    curve = abstention(graph, Simulator(graph), codes, labels)
    assert curve[0].kept == 1.0
    assert curve[-1].kept < 0.4  # many have the least entropy of all
    assert curve[-1].accuracy > curve[0].accuracy + 0.1
    assert [point.bits for point in curve] == sorted((point.bits for point in curve), reverse=True)
    outputs = Simulator(graph).run(codes)
    below = outputs[1][:, 0] / 1024 <= curve[5].bits
    assert curve[5].kept == pytest.approx(below.mean())
    assert curve[5].accuracy == pytest.approx((outputs[0].argmax(1) == labels)[below].mean())


def test_a_network_of_one_pass_has_no_entropies() -> None:
    graph = read_graph(DIGITS)
    codes = np.zeros((3, 8, 8, 1), np.int8)
    with pytest.raises(TinyguardError, match="harden stochastic first"):
        abstention(graph, Simulator(graph), codes, np.zeros(3, np.int64))


def test_the_command_compares_data_and_draws(stochastic: Path, tmp_path: Path) -> None:
    noisy_digits(tmp_path / "noisy.npz")
    picture = tmp_path / "curves.png"
    sets = ("--data", "clean=digits:test", "--data", f"noisy={tmp_path / 'noisy.npz'}")
    done = CliRunner().invoke(
        group, ["harden", "abstain", str(stochastic), *sets, "-o", str(picture), "--json"]
    )
    assert done.exit_code == 0, done.output
    curves = json.loads(done.output)
    assert list(curves) == ["clean", "noisy"]
    assert curves["clean"][0]["accuracy"] > curves["noisy"][0]["accuracy"]
    assert picture.read_bytes().startswith(b"\x89PNG")
