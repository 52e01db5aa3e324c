# SPDX-License-Identifier: Apache-2.0
"""`tinyguard harden evaluate`: its tables, the form of its JSON, and one line for bad input."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from tinyguard.cli import group
from tinyguard.errors import TinyguardError

MODEL = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
STUDY = f"""
data = "digits:test"
limit = 10
attack_seeds = 1
[[network]]
name = "none"
model = "{MODEL}"
[[network]]
name = "stochastic"
model = "{MODEL}"
stochastic = {{p = 0.3, passes = 2}}
[[attack]]
attack = "fgsm"
eps = ["16codes"]
"""


def _evaluate(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["harden", "evaluate", *arguments])


def test_tables_and_json(tmp_path):
    study = tmp_path / "study.toml"
    study.write_text(STUDY)
    options = (str(study), "-o", str(tmp_path / "out"), "--no-cost", "--no-check", "--limit", "8")
    first = _evaluate(*options, "--json")
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    assert [one["defense"] for one in found["defenses"]] == ["none", "stochastic"]
    assert [(row["defense"], row["attack"], row["samples"]) for row in found["attacks"]] == [
        ("none", "fgsm", 8),
        ("stochastic", "fgsm", 8),
        ("stochastic", "fgsm, seed known", 8),
    ]
    tables = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("table.*")}
    assert set(tables) == {"table.json", "table.csv", "table.md"}
    assert json.loads(tables["table.json"]) == found
    again = _evaluate(*options)
    assert again.exit_code == 0
    assert "| stochastic | fgsm, seed known |" in again.stdout
    assert tables == {path.name: path.read_bytes() for path in (tmp_path / "out").glob("table.*")}


def test_a_part_of_a_study_is_the_same_as_in_the_whole(tmp_path):
    study = tmp_path / "study.toml"
    study.write_text(STUDY + '[[attack]]\nattack = "pgd"\neps = ["16codes"]\nsteps = 2\n')
    options = (str(study), "--no-cost", "--no-check", "-o", str(tmp_path / "out"))
    part = _evaluate(*options, "--network", "none", "--attack", "pgd", "--json")
    assert part.exit_code == 0, part.output
    (row,) = (row for row in json.loads(part.stdout)["attacks"] if row["samples"])
    assert (row["defense"], row["attack"]) == ("none", "pgd")
    pieces = {path.name for path in (tmp_path / "out" / "cells").iterdir()}
    assert len(pieces) == 1
    whole = _evaluate(*options, "--json")
    assert row in json.loads(whole.stdout)["attacks"]
    assert pieces < {path.name for path in (tmp_path / "out" / "cells").iterdir()}


def test_bad_input_is_one_line(tmp_path):
    study = tmp_path / "study.toml"
    study.write_text(STUDY)
    for arguments, message in (
        ((str(tmp_path / "none.toml"),), "cannot read"),
        ((str(study), "--board", "nucleo-f746"), "is hardware"),
        ((str(study), "--board", "nano"), "nano"),
        ((str(study), "--network", "both"), "no network named 'both'; there are: none, stochastic"),
        ((str(study), "--attack", "pgd"), "no attack named 'pgd'; there are: fgsm"),
    ):
        result = _evaluate(*arguments)
        assert isinstance(result.exception, TinyguardError)
        assert message in str(result.exception)
        assert "\n" not in str(result.exception)
