# SPDX-License-Identifier: Apache-2.0
"""A piece is void when code that its result depends on has changed, and only then."""

import importlib.util
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.campaigns.studies import MODEL, planned, write_study
from tinyguard.campaigns import code_digest, piece_code
from tinyguard.campaigns.leftovers import leftovers
from tinyguard.campaigns.store import Store
from tinyguard.cli import group
from tinyguard.errors import TinyguardError

CACHES = (code_digest._digest, code_digest._content, code_digest._imports)
READ = code_digest.source_of
STUDY = f"""
data = "digits:test"
limit = 20
[[network]]
name = "int8"
model = "{MODEL}"
source = "float.py:network"
[[attack]]
attack = "pgd"
eps = ["8codes"]
setting = ["white-box", "transfer"]
[[attack]]
attack = "square"
eps = ["8codes", "16codes"]
[[attack]]
attack = "autoattack"
eps = ["8codes"]
[[attack]]
attack = "deepfool"
[[attack]]
attack = "boundary"
"""
EVERY = {"pgd", "pgd transfer", "square", "autoattack", "deepfool", "boundary"}
WALK = "    def _walk(self, problem: Problem, best: Best, walk: Walk) -> None:\n"
CHANGES = {
    "a constant of square": (
        "attacks.square",
        "max(1, self.queries",
        "max(2, self.queries",
        {"square", "autoattack"},
    ),
    "a constant of its walks": ("attacks.square_walks", "_FITS = 6", "_FITS = 7", {"square", "autoattack"}),
    "an order in apgd": (
        "attacks.apgd",
        "self.climb(problem, best, look_at(problem, loss))",
        "self.climb(problem, best, look_at(problem, None))",
        {"autoattack"},
    ),
    "the losses": ("attacks.losses", "return ", "return 0 or ", EVERY),
    "the space": ("attacks.space", "return ", "return 0 or ", EVERY),
    "the score": ("robustness.scoring", "_BATCH = 64", "_BATCH = 65", EVERY),
    "the answer": ("graph.answer", "argmax(", "argmin(", EVERY),
    "the backward pass": (
        "simulator.straight_through",
        "return gradient, None",
        "return 2 * gradient, None",
        EVERY,
    ),
    "a filter's gradient": ("simulator.filter_dct", "** 3 * 4", "** 3 * 5", EVERY),
    "how a clamp holds gradients back": ("simulator.straight_through", "value=leak - 1", "value=leak", EVERY),
    "which victim a detector gives": ("robustness.attacked_network", '== "aware"', '!= "aware"', EVERY),
    "what a purifier chooses": ("defenses.pixel_choice", "argmax(", "argmin(", set()),
    "how pieces inherit": ("campaigns.piece", "if inherited is None or ", "if ", EVERY),
    "what transfers are crafted on": ("robustness.transfer", "gain = ", "gain = 2 * ", {"pgd transfer"}),
    "the masks of stochastic networks": ("attacks.eot", "return ", "return 0 or ", set()),
    "the checks": ("robustness.trust.checks", "SAMPLES = 64", "SAMPLES = 65", set()),
    "another attack": ("attacks.zoo", "return ", "return 0 or ", set()),
    "a loop of the simulator": ("simulator.sums", "return ", "return 0 or ", set()),
    "a kernel's caller": ("native.loops", "return ", "return 0 or ", set()),
    "a docstring of square": ("attacks.square", '"""Square attack:', '"""The square attack:', set()),
    "a class's docstring": ("attacks.square", "Every sample has squares of its own.", "", set()),
    "a comment": ("attacks.square", "    def run(", "    # why\n    def run(", set()),
    "an annotation": (
        "attacks.square",
        WALK,
        WALK.replace("walk: Walk", "walk: object").replace("None", "object"),
        set(),
    ),
    "a field's annotation": ("attacks.square", "p: float =", 'p: "float" =', set()),
    "an attack's line in the help": (
        "attacks.square",
        'ClassVar[str] = "random',
        'ClassVar[str] = "arbitrary',
        set(),
    ),
    "the words of an error": (
        "attacks.losses",
        'raise TinyguardError(f"',
        'raise TinyguardError(f"alas, ',
        set(),
    ),
    "the order of imports": (
        "attacks.square",
        "from dataclasses import dataclass\nfrom typing import ClassVar\n",
        "from typing import ClassVar\nfrom dataclasses import dataclass\n",
        set(),
    ),
}


@contextmanager
def changed(module: str, before: str, after: str) -> Iterator[None]:
    def read(name: str) -> str:
        text = READ(name)
        if name != f"tinyguard.{module}":
            return text
        assert before in text
        return text.replace(before, after)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_digest, "source_of", read)
        forget()
        yield
    forget()


def forget() -> None:
    for cache in CACHES:
        cache.cache_clear()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "float.py").write_text("def network(): ...\n")
    (folder / "study.toml").write_text(STUDY)
    return folder / "study.toml"


def keys(study: Path) -> dict[tuple[str, int], str]:
    def label(cell) -> str:
        return cell.entry.attack + (" transfer" if cell.setting == "transfer" else "")

    return {(label(piece.cell), piece.cell.index): piece.key for piece in planned(study)[1]}


@pytest.fixture(scope="module")
def before(study: Path) -> dict[tuple[str, int], str]:
    found = keys(study)
    assert {label for label, _ in found} == EVERY
    return found


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_change_of_code_voids(what: str, study: Path, before: dict[tuple[str, int], str]) -> None:
    module, old, new, voids = CHANGES[what]
    with changed(module, old, new):
        after = keys(study)
    assert {label for label, index in before if before[label, index] != after[label, index]} == voids
    same_work = {key.partition("-")[0] for key in before.values()} == {
        key.partition("-")[0] for key in after.values()
    }
    assert same_work, "the code is in the second part of the key alone"


def test_every_module_that_keys_name_is_there() -> None:
    whenever = (
        piece_code.TRANSFER,
        piece_code.MASKS,
        piece_code.CHECKS,
        piece_code.PURIFIER,
        piece_code.TARGETED,
    )
    for name in (*piece_code.JUDGES, *piece_code.BACKWARD, *itertools.chain(*whenever)):
        assert importlib.util.find_spec(name), name


def test_a_module_that_is_not_there_is_an_error() -> None:
    for name in ("tinyguard.simulator.nowhere", "tinyguard.nowhere.at_all", "math"):
        with pytest.raises(TinyguardError, match=f"the source of {name} is not there"):
            code_digest.code_digest([], [name])


def test_imports_are_followed_inside_functions_and_not_for_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "keyed_toy"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "a": "from typing import TYPE_CHECKING\nimport json\nif TYPE_CHECKING:\n    from keyed_toy import d\n"
        "def f():\n    from keyed_toy.b import g\n    return g\n",
        "b": "from . import c\nfrom tinyguard.attacks.view import View\ng = c.h\n",
        "c": "h = 1\n",
        "d": "i = 1\n",
    }.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = code_digest.modules_of(["keyed_toy.a"])
    assert {name for name in found if name.startswith("keyed_toy")} == {f"keyed_toy.{x}" for x in "abc"}
    assert {"tinyguard.attacks.view", "tinyguard.attacks.space"} <= found


def test_what_a_folder_has_of_other_code_is_told_in_a_line(tmp_path: Path) -> None:
    path = write_study(tmp_path, '[[attack]]\nattack = "square"\neps = ["8codes"]\nqueries = 10\n')

    def told() -> str:
        done = CliRunner().invoke(
            group, ["attack", "--config", str(path), "-o", str(tmp_path / "out"), "--json"]
        )
        assert done.exit_code == 0, done.output + str(done.exception)
        return done.stderr

    store = Store(tmp_path / "out" / "cells")
    assert "not used" not in told()
    _, pieces = planned(path)
    assert store.keys() == {piece.key for piece in pieces}
    assert leftovers(store, pieces) == []
    for number, piece in enumerate(pieces):
        store.path(piece.key).rename(store.path(f"{number:024x}"))
    assert (
        told().count("cells: 2 pieces of an earlier tinyguard are not used: nothing says by which code\n")
        == 1
    )
    with changed(*CHANGES["a constant of square"][:3]):
        (line,) = leftovers(store, planned(path)[1])[1:]
    assert line.endswith("cells: 2 pieces are not used and run again: the attack's code has changed since")
