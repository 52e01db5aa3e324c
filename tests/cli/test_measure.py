# SPDX-License-Identifier: Apache-2.0
"""tinyguard attack --measure, --surface and the table of --check."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinyguard.cli.attack import command

DIGITS = str(Path(__file__).parents[2] / "models" / "digits" / "model.tflite")
QUICK = [DIGITS, "--data", "digits", "--limit", "6"]


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(command, [*QUICK, *arguments])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


def test_gradients_of_the_integer_network_alone(tmp_path):
    pytest.importorskip("matplotlib")
    found = json.loads(_run("--measure", "gradients", "--json", "-o", str(tmp_path / "g.png")))
    assert found["float_and_integer"] is None
    assert found["boundary"]["norm"] == "l2"
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
    assert "type --source FILE" in _run("--measure", "gradients", "--steps", "5")


def test_attenuation_between_two_networks():
    source = ["--source", DIGITS]  # the integer network as its own surrogate
    found = json.loads(_run("--measure", "attenuation", "--json", "--steps", "3", *source))
    assert found[0]["erased"] == 1
    assert {"eps_codes", "float_left", "integer_left", "amplified", "ci95"} <= set(found[0])
    assert "L2 after by before" in _run("--measure", "attenuation", "--steps", "3", *source)


def test_a_surface_beside_the_inputs(tmp_path):
    pytest.importorskip("matplotlib")
    attack = ["--attack", "pgd", "--eps", "8codes", "--steps", "2"]
    _run(*attack, "--surface", str(tmp_path / "typed.png"))
    assert (tmp_path / "typed.png").read_bytes().startswith(b"\x89PNG")
    table = _run(*attack, "--check", "-o", str(tmp_path / "adv.npz"))
    assert (tmp_path / "adv.surface.png").read_bytes().startswith(b"\x89PNG")
    assert "full range" in table
    assert "skip" in table
    assert "leaky clamps" in table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--measure", "attenuation"], "--source"),
        (["--measure", "gradients", "--attack", "pgd"], "deepfool"),
        (["--measure", "gradients", "--backend", "litert"], "--backend"),
        (["--measure", "gradients", "-o", "a.svg"], ".png"),
        (["--attack", "pgd", "--eps", "8codes", "--surface", "a.jpg"], ".png"),
    ],
)
def test_refusals(arguments, says):
    result = CliRunner().invoke(command, [*QUICK, *arguments])
    assert result.exit_code != 0
    assert says in f"{result.output} {result.exception}"
