# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden purify: a file that replays, its figures, and one line for bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tinyguard.cli import group
from tinyguard.data import load_named
from tinyguard.robustness.stored_inputs import load_adversarial

DIGITS = Path(__file__).parents[2] / "models" / "digits"
WEIGHTS, MODEL = str(DIGITS / "pixel-cnn.npz"), str(DIGITS / "model.tflite")


def purify(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["harden", "purify", *arguments])


def test_an_attack_file_goes_in_and_one_that_replays_comes_out(tmp_path):
    test = load_named("digits", "test")
    codes = (test.x[:5] ^ np.uint8(128)).view(np.int8)
    source, output = tmp_path / "adv.npz", tmp_path / "purified.npz"
    record = np.array(json.dumps({"attack": "pgd"}))
    success, ids = np.array([True, False, True, True, False]), np.arange(5) + 7
    np.savez(
        source, x=codes, y=test.y[:5], success=success, ids=ids, model_sha256=np.array("ab"), record=record
    )
    done = purify(str(source), "--pixel-cnn", WEIGHTS, "--eps", "20codes", "-o", str(output), "--json")
    assert done.exit_code == 0, done.output
    found, stored = json.loads(done.output), load_adversarial(output)
    assert found["eps_codes"] == 20
    assert found["bits_per_dimension_after"] < found["bits_per_dimension_before"]
    assert found["an_image"]["evaluations"] == 64
    assert found["seconds_an_image"] > 0
    np.testing.assert_array_equal(stored.y, test.y[:5])
    np.testing.assert_array_equal(stored.success, success)
    np.testing.assert_array_equal(stored.ids, ids)
    assert stored.model_sha256 == "ab"
    assert stored.record is not None
    assert stored.record["attack"] == "pgd"
    assert stored.record["purification"]["eps_codes"] == 20
    assert np.abs(stored.x.astype(int) - codes).max() <= 20
    replayed = CliRunner().invoke(group, ["attack", MODEL, "--replay", str(output), "--json"])
    assert replayed.exit_code == 0, replayed.output
    assert json.loads(replayed.output)["samples"] == 5


def test_data_go_in_and_eval_takes_what_comes_out(tmp_path):
    output = tmp_path / "purified.npz"
    done = purify("digits:test", "--limit", "20", "--pixel-cnn", WEIGHTS, "-o", str(output))
    assert done.exit_code == 0, done.output
    assert "64 evaluations x 14,784 MACs" in done.output
    assert "not for a microcontroller" in done.output
    scored = CliRunner().invoke(group, ["eval", MODEL, "--data", str(output), "--json"])
    assert scored.exit_code == 0, scored.output
    assert json.loads(scored.output)["accuracy"] >= 0.8


def test_adaptive_leaves_likely_images(tmp_path):
    output = tmp_path / "purified.npz"
    options = ("--limit", "5", "--pixel-cnn", WEIGHTS, "-o", str(output), "--json")
    assert json.loads(purify("digits", "--adaptive", "99", *options).output)["samples_purified"] == 0
    assert json.loads(purify("digits", "--adaptive", "0.1", *options).output)["samples_purified"] == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["digits", "--pixel-cnn", "none.npz"], "no such file"),
        (["digits", "--pixel-cnn", MODEL], "cannot be read"),
        (["digits", "--pixel-cnn", WEIGHTS, "--eps", "much"], "is no number"),
        (["digits", "--pixel-cnn", WEIGHTS, "--eps", "0.001"], "under one code"),
        (["digits", "--pixel-cnn", WEIGHTS, "--eps", "38"], "38/255"),
        (["nothing.npz", "--pixel-cnn", WEIGHTS], "is not there"),
        (["ROOM/large.npz", "--pixel-cnn", WEIGHTS], "takes int8 (8, 8, 1)"),
        (["ROOM/real.npz", "--pixel-cnn", WEIGHTS], "float32"),
        (["ROOM/empty.npz", "--pixel-cnn", WEIGHTS], "holds no inputs"),
        (["ROOM/bare.npz", "--pixel-cnn", WEIGHTS], "no labels"),
    ],
)
def test_refused_in_one_line(arguments, words, tmp_path):
    y = np.zeros(2, np.int64)
    np.savez(tmp_path / "large.npz", x=np.zeros((2, 9, 8, 1), np.int8), y=y)
    np.savez(tmp_path / "real.npz", x=np.zeros((2, 8, 8, 1), np.float32), y=y, success=y > 0)
    np.savez(tmp_path / "empty.npz", x=np.zeros((0, 8, 8, 1), np.int8), y=y[:0], success=y[:0] > 0)
    np.savez(tmp_path / "bare.npz", x=np.zeros((2, 8, 8, 1), np.uint8))
    output = tmp_path / "out.npz"
    refused = purify(*(one.replace("ROOM", str(tmp_path)) for one in arguments), "-o", str(output))
    assert refused.exit_code == 1
    assert words in str(refused.exception)
    assert "\n" not in str(refused.exception)
    assert not output.exists()


def test_the_firmware_refuses_it_and_says_what_to_type(tmp_path):
    refused = CliRunner().invoke(
        group, ["harden", "filter", MODEL, "--filter", "pixel-defend", "-o", str(tmp_path / "out.tflite")]
    )
    assert refused.exit_code == 1
    assert "runs on the host only" in str(refused.exception)
    assert "tinyguard harden purify" in str(refused.exception)
    assert "\n" not in str(refused.exception)
