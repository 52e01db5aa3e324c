# SPDX-License-Identifier: Apache-2.0
"""`eval --set`: what is stated, and what is refused in one line."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tinyguard.cli import group

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"


def _run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(group, list(arguments))
    return done.exit_code, done.output + str(done.exception or "")


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("hardened") / "model.tflite")
    assert _run("harden", "stochastic", str(DIGITS), "--passes", "2", "--seed", "7", "-o", path)[0] == 0
    return path


def test_the_values_in_force_have_a_row(hardened: str) -> None:
    where = ("--data", "digits:test", "--limit", "4")
    assert "settings               seed 7 (the file's)" in _run("eval", hardened, *where)[1]
    assert "seed 9 (file: 7)" in _run("eval", hardened, *where, "--set", "seed=9")[1]
    code, text = _run("eval", str(DIGITS), *where)
    assert (code, "settings" in text) == (0, False)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("seed", "sets nothing; type NAME=VALUE"),
        ("sed=1", "no setting named 'sed'; known: seed"),
        ("seed=-1", "setting seed takes 0 to 18446744073709551615 and got -1"),
    ],
)
def test_what_cannot_be_set_is_refused_in_one_line(hardened: str, given: str, words: str) -> None:
    code, text = _run("eval", hardened, "--data", "digits:test", "--limit", "4", "--set", given)
    assert code != 0
    assert words in text.replace("\n", " ")
