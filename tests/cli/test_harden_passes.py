# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden stochastic and squeeze: what they write, and one line for what they refuse."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinyguard.cli import group
from tinyguard.tflite import read_metadata

DIGITS = "models/digits/model.tflite"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, list(arguments))


def test_stochastic_writes_what_was_typed(tmp_path: Path) -> None:
    output = tmp_path / "out.tflite"
    options = ("--p", "0.2", "--passes", "5", "--seed", "9", "--abstain-above", "1.5", "-o", str(output))
    done = run("harden", "stochastic", DIGITS, *options, "--json")
    assert done.exit_code == 0, done.output
    section = json.loads(done.output)["stochastic"]
    assert (section["dropped"], section["passes"], section["seed"]) == (51, 5, 9)
    assert section["abstain_above"] == 1536
    record = read_metadata(output)
    assert record is not None
    assert record.stochastic is not None
    assert record.stochastic.as_json() == section
    flagged = json.loads(run("eval", str(output), "--data", "digits:test", "--json").output)["flags"]
    assert 0 <= flagged["share"] <= 1
    assert run("harden", "stochastic", str(output), "--remove", "-o", str(output)).exit_code == 0
    record = read_metadata(output)
    assert record is not None
    assert record.stochastic is None


def test_seeds_are_drawn_by_chance_where_none_is_typed(tmp_path: Path) -> None:
    seeds = set()
    for _ in range(2):
        done = run("harden", "stochastic", DIGITS, "-o", str(tmp_path / "out.tflite"), "--json")
        seeds.add(json.loads(done.output)["stochastic"]["seed"])
    assert len(seeds) == 2


def test_squeeze_sets_its_threshold_from_clean_data(tmp_path: Path) -> None:
    output = tmp_path / "out.tflite"
    options = (
        "--squeezer",
        "bit-depth:1",
        "--data",
        "digits:train",
        "--fpr",
        "0.1",
        "-o",
        str(output),
        "--json",
    )
    done = run("harden", "squeeze", DIGITS, *options)
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert abs(found["false_positives"] - 0.1) < 0.02
    flagged = json.loads(run("eval", str(output), "--data", "digits:train", "--json").output)["flags"][
        "share"
    ]
    assert flagged == pytest.approx(found["false_positives"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stochastic", DIGITS, "--p", "0.6"], "not between 1/256 and 1/2"),
        (["stochastic", DIGITS, "--sites", "nowhere"], "no layer 'nowhere' can be a site"),
        (["stochastic", "models/resnet8-cifar10/model-int16x8.tflite"], "no int8 layer"),
        (["stochastic", "nowhere.tflite"], "nowhere.tflite: no such file"),
        (["squeeze", DIGITS, "--squeezer", "medain", "--threshold", "3"], "did you mean median"),
        (["squeeze", DIGITS, "--squeezer", "median", "--data", "digits", "--fpr", "2"], "--fpr 0.05"),
        (["squeeze", "nowhere.tflite", "--squeezer", "median", "--threshold", "3"], "no such file"),
    ],
)
def test_refused_in_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    output = tmp_path / "out.tflite"
    refused = run("harden", *arguments, "-o", str(output))
    assert refused.exit_code == 1, refused.output
    assert words in str(refused.exception)
    assert "\n" not in str(refused.exception)
    assert not output.exists()


@pytest.mark.parametrize("arguments", [["--squeezer", "median"], [], ["--remove", "--squeezer", "median"]])
def test_what_is_missing_is_a_usage_error(arguments: list[str], tmp_path: Path) -> None:
    assert run("harden", "squeeze", DIGITS, *arguments, "-o", str(tmp_path / "out.tflite")).exit_code == 2
