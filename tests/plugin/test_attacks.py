# SPDX-License-Identifier: Apache-2.0
"""An attack of another package, one file: found, listed, run, and judged as those of tinyguard are."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import tinyguard
from tests.campaigns.studies import planned
from tests.plugin.conftest import DIGITS
from tinyguard.attacks import registry
from tinyguard.campaigns import code_digest
from tinyguard.cli import group
from tinyguard.errors import TinyguardError

ATTACK = '''
"""Brightness: every element moves by the whole budget, up or down, the same way."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.pgd import PGD
from tinyguard.attacks.problem import Best, Outcome, Problem


@dataclass(frozen=True)
class Brightness:
    eps: float = 8 / 255
    norm: str = "linf"

    name: ClassVar[str] = "brightness"
    summary: ClassVar[str] = "lighter or darker as a whole"
    access: ClassVar[str] = "decision"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf",)

    def run(self, problem: Problem) -> Outcome:
        best, space = Best(problem), problem.space
        radius = space.radius("linf", self.eps)
        for sign in (1, -1):
            rows = best.rows
            clean = problem.x[rows]
            seen = space.round(space.project(clean + sign * radius, clean, "linf", radius))
            best.count(rows)
            fooled = problem.fooled(problem.victim.query(seen).decided, rows)
            best.offer(rows, seen, torch.zeros(len(rows)), fooled)
        return best.outcome()


@dataclass(frozen=True)
class Shorter(PGD):
    """A subclass of tinyguard's, which the module brings along."""

    steps: int = 3
    name: ClassVar[str] = "shorter"
    summary: ClassVar[str] = "PGD in three steps"
'''
STUDY = f"""
data = "digits:test"
limit = 20
[[network]]
name = "digits"
model = "{DIGITS}"
[[attack]]
attack = "brightness"
eps = ["60/255"]
"""
INSTALL = Callable[[str, Path], None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "tinyguard_toy.py").write_text(ATTACK)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["attack", *arguments])


def test_one_file_is_found_listed_and_run(install: INSTALL, folder: Path) -> None:
    install("brightness = tinyguard_toy", folder / "code")
    assert registry()["brightness"].module == "tinyguard_toy"
    assert list(registry())[-5:] == ["boundary", "brightness", "geoda", "hopskipjump", "random-signs"]
    shown = run("--help").output
    assert "brightness    lighter or darker as a whole (Linf)" in shown
    assert "shorter       PGD in three steps (Linf, L2)" in shown

    done = run(
        str(DIGITS), "--data", "digits", "--limit", "40", "--attack", "brightness", "--eps", "90/255",
        "--json", "-o", "adv.npz",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["attack"], told["setting"], told["norm"]) == ("brightness", "black-box", "linf")
    assert told["successes"] > 0

    model = tinyguard.load(DIGITS)
    codes, labels = model.codes("digits", 40)
    assert labels is not None
    found = model.attack("brightness", codes, labels, eps=90 / 255)
    np.testing.assert_array_equal(found.x, np.load("adv.npz")["x"])
    assert found.success.sum() == told["successes"]
    changed = found.x[found.success].astype(int) - codes[found.success]
    assert (np.sign(changed).reshape(len(changed), -1).ptp(axis=1) <= 1).all(), "one way in every sample"


def test_a_study_runs_it(install: INSTALL, folder: Path) -> None:
    install("brightness = tinyguard_toy", folder / "code")
    (folder / "study.toml").write_text(STUDY)
    done = run("--config", "study.toml", "--json")
    assert done.exit_code == 0, done.output + str(done.exception)
    (record,) = json.loads(done.stdout)
    assert (record["attack"], record["samples"]) == ("brightness", 20)


@pytest.mark.parametrize(
    ("before", "after", "voids"),
    [
        ("for sign in (1, -1):", "for sign in (-1, 1):", True),
        ("        best, space", "        # comment\n        best, space", False),
        ("lighter or darker as a whole", "all the same way", False),
    ],
)
def test_its_pieces_are_void_when_its_code_changes(
    install: INSTALL, folder: Path, before: str, after: str, voids: bool
) -> None:
    (folder / "study.toml").write_text(STUDY)
    install("brightness = tinyguard_toy", folder / "code")
    _, (first,) = planned(folder / "study.toml")
    (folder / "code" / "tinyguard_toy.py").write_text(ATTACK.replace(before, after))
    for cache in (code_digest._digest, code_digest._content, code_digest._imports):
        cache.cache_clear()
    _, (second,) = planned(folder / "study.toml")
    assert (first.key != second.key) == voids


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"brightness"', '"pgd"', "toy brings the attack 'pgd', which is there already"),
        ('    summary: ClassVar[str] = "lighter or darker as a whole"\n', "", "declares no summary"),
        ('"decision"', '"magic"', "has the access 'magic'; known: gradient, score, decision"),
    ],
)
def test_what_cannot_be_registered_is_refused_and_the_help_says_so(
    install: INSTALL, folder: Path, before: str, after: str, says: str
) -> None:
    (folder / "code" / "tinyguard_toy.py").write_text(ATTACK.replace(before, after))
    install("brightness = tinyguard_toy", folder / "code")
    with pytest.raises(TinyguardError, match=says):
        registry()
    shown = run("--help").output
    assert says in shown
    assert "fgsm" in shown
