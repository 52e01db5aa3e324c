# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden filter: what it writes, and one line for what it refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinyguard.cli import group
from tinyguard.defenses.input_filters import filters_in

DIGITS = "models/digits/model.tflite"


def harden(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["harden", "filter", *arguments])


def test_filters_are_written_in_order_and_nothing_is_lost(tmp_path: Path) -> None:
    output = tmp_path / "hardened.tflite"
    done = harden(DIGITS, "--filter", "bit-depth:4", "--filter", "median", "-o", str(output), "--json")
    assert done.exit_code == 0, done.output
    assert [one["name"] for one in json.loads(done.output)["filters"]] == ["bit-depth", "median"]
    assert [str(one) for one in filters_in(output.read_bytes())] == ["bit-depth:4", "median:3"]
    before = output.read_bytes()
    refused = harden(str(output), "--filter", "mean", "-o", str(output))
    assert refused.exit_code == 1
    assert output.read_bytes() == before
    assert harden(str(output), "--filter", "mean", "--replace", "-o", str(output)).exit_code == 0
    assert [str(one) for one in filters_in(output.read_bytes())] == ["mean:2"]
    assert harden(str(output), "--remove", "-o", str(output)).exit_code == 0
    assert filters_in(output.read_bytes()) == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([DIGITS, "--filter", "medain"], "did you mean median"),
        ([DIGITS, "--filter", "mean:5"], "size 5, and it takes 2, 3"),
        (["models/resnet8-cifar10/model-int16x8.tflite", "--filter", "mean"], "filters take int8"),
        (["nowhere.tflite", "--filter", "mean"], "nowhere.tflite: no such file"),
        (["README.md", "--filter", "mean"], "README.md"),
    ],
)
def test_refused_in_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    output = tmp_path / "out.tflite"
    refused = harden(*arguments, "-o", str(output))
    assert refused.exit_code == 1
    assert words in str(refused.exception)
    assert "\n" not in str(refused.exception)
    assert not output.exists()


def test_nothing_to_do_is_a_usage_error(tmp_path: Path) -> None:
    assert harden(DIGITS, "-o", str(tmp_path / "out.tflite")).exit_code == 2
