# SPDX-License-Identifier: Apache-2.0
"""`attack` as a person types it against a virtual board: the host's bytes, and replays that agree."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tinyguard.cli import group
from tinyguard.tflite import read_graph

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"

pytestmark = pytest.mark.emulator


def _json(*arguments: str) -> dict:
    result = CliRunner().invoke(group, ["attack", str(DIGITS), *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict = json.loads(result.stdout)
    return found


def test_attack_and_replay_on_a_board(flashed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    port = flashed(read_graph(DIGITS), "mps2-an500")
    square = ("--data", "digits", "--limit", "10", "--attack", "square", "--eps", "40/255", "--queries", "40")
    board = _json(*square, "--serial", port, "-o", "board.npz")
    host = _json(*square, "-o", "host.npz")
    assert (board["backend"], host["backend"]) == ("device", "simulator")
    assert board["accuracy_under_attack"] == host["accuracy_under_attack"] < board["clean_accuracy"]
    assert (np.load("board.npz")["x"] == np.load("host.npz")["x"]).all()

    pgd = ("--data", "digits", "--limit", "60", "--attack", "pgd", "--eps", "24/255", "--steps", "8")
    found = _json(*pgd, "-o", "adv.npz")
    for where in (("--serial", port), ("--backend", "litert")):
        again = _json("--replay", "adv.npz", *where)
        assert (again["agreement_share"], again["differing_bytes"]) == (1.0, 0)
        assert again["survived"] == again["successes"] == found["successes"] > 0
    replayed = _json(*pgd, "--serial", port)
    times = {"seconds", "backend"}
    assert {k: v for k, v in replayed.items() if k not in times} == {
        k: v for k, v in found.items() if k not in times
    }
