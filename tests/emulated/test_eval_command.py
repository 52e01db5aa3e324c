# SPDX-License-Identifier: Apache-2.0
"""`flash` and `eval` as a person types them: agreement, a killed emulator, a resumed run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.exits.networks import codes, exits_file

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"

pytestmark = pytest.mark.emulator


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a command in an empty folder whose emulators are this test's alone."""
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    program = [sys.executable, "-c", "from tinyguard.cli import main; main()"]

    def begin(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*program, *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Iterator[Callable[..., dict]]:
    """Run a command with --json and return what it printed; every board is stopped at the end."""

    def command(*arguments: str) -> dict:
        process = start(*arguments, "--json")
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return json.loads(output)

    yield command
    start("stop", "--all").wait(30)


def _samples(folder: Path, count: int) -> str:
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (count, 8, 8, 1)).astype(np.int8)
    np.savez(folder / "samples.npz", x=x, y=rng.integers(0, 10, count))
    return str(folder / "samples.npz")


def test_digits_on_a_virtual_board(run):
    flashed = run("flash", str(DIGITS), "--board", "mps2-an500")
    assert {"board", "runner", "port", "image", "flash_bytes", "ram_bytes", "sha256", "pid"} <= flashed.keys()
    result = run("eval", str(DIGITS), "--data", "digits:test", "--serial", flashed["port"])
    assert result["samples"] == 360
    assert result["agreement"] == {"differing_bytes": 0, "differing_predictions": 0}
    assert result["accuracy"] == result["host_accuracy"] > 0.97
    assert result["unit"] == "instructions"
    assert result["per_inference"] > 10_000
    assert (result["flash_bytes"], result["ram_bytes"]) == (flashed["flash_bytes"], flashed["ram_bytes"])


def test_diff_compares_every_tensor_of_the_board(run, tmp_path):
    for passes, layers in (("--passes", 10), ("--no-passes", 10)):
        board = run("flash", str(DIGITS), "--board", "mps2-an500", passes)
        found = run("diff", str(DIGITS), "--serial", board["port"], "--data", "digits")
        assert found["first"] is None
        assert [layer["how"] for layer in found["layers"]] == ["equal"] * layers
        run("stop", board["port"])


def test_settings_in_force_are_stated_and_hold_from_one_command_to_the_next(run, tmp_path):
    hardened = str(tmp_path / "hardened.tflite")
    run("harden", "stochastic", str(DIGITS), "--passes", "3", "--seed", "7", "-o", hardened)
    board = run("flash", hardened, "--board", "mps2-an500")
    where = ("eval", hardened, "--data", "digits:test", "--limit", "20")
    for arguments, value in (((), 7), (("--set", "seed=9"), 9), ((), 9)):
        on_board = run(*where, "--serial", board["port"], *arguments)
        assert on_board["settings"] == {"seed": {"value": [value], "file": [7]}}
        assert on_board["agreement"] == {"differing_bytes": 0, "differing_predictions": 0}


def test_exits_cost_on_a_board_what_bench_counts(run, tmp_path):
    model, samples, record = tmp_path / "exits.tflite", tmp_path / "exits.npz", tmp_path / "run.json"
    model.write_bytes(exits_file())
    np.savez(samples, x=codes(60), y=np.arange(60) % 10)
    run("bench", str(model), "--board", "mps2-an500", "-o", str(record))
    counted = [row["cost"] for row in run("exits", str(model), "--bench", str(record))["exits"]]
    board = run("flash", str(model), "--board", "mps2-an500")
    where = ("eval", str(model), "--data", str(samples), "--serial", board["port"])
    for policy in (("--exit", "1"), ()):
        result = run(*where, *policy)
        assert result["agreement"] == {"differing_bytes": 0, "differing_predictions": 0}
        exits = result["exits"]["exits"]
        assert [one["cost"] for one in exits] == pytest.approx(counted, rel=0.002)
        mean = sum(one["share"] * cost for one, cost in zip(exits, counted, strict=True))
        assert result["per_inference"] == pytest.approx(mean, rel=0.002)
        assert result["exits"]["unit"] == result["unit"] == "instructions"
    assert result["policy"]["value"] == result["policy"]["file"]


def test_a_killed_emulator_loses_nothing(run, start, tmp_path):
    data = _samples(tmp_path, 4000)
    board = run("flash", str(DIGITS), "--board", "mps2-an500")
    process = start("eval", str(DIGITS), "--data", data, "--serial", board["port"])
    records = tmp_path / ".tinyguard" / "runs"
    deadline = time.monotonic() + 60
    while not list(records.glob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(board["pid"], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "--resume" in errors
    assert len(errors.strip().splitlines()) == 1, errors
    with np.load(next(records.glob("*.npz"))) as kept:
        assert 0 < len(kept["counts"]) < 4000

    board = run("flash", str(DIGITS), "--board", "mps2-an500")
    resumed = run("eval", str(DIGITS), "--data", data, "--serial", board["port"], "--resume")
    assert not list(records.glob("*.npz"))
    assert resumed["agreement"] == {"differing_bytes": 0, "differing_predictions": 0}
    whole = run("eval", str(DIGITS), "--data", data)
    assert (resumed["samples"], resumed["accuracy"]) == (4000, whole["accuracy"])


def test_another_model_on_the_board_is_refused(run, start, tmp_path):
    board = run("flash", str(DIGITS), "--board", "mps2-an500")
    other = tmp_path / "other.tflite"
    other.write_bytes(DIGITS.read_bytes() + b"\0")
    process = start("eval", str(other), "--data", "digits", "--serial", board["port"])
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "model" in errors
    assert len(errors.strip().splitlines()) == 1, errors
