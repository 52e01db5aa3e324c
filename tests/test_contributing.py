# SPDX-License-Identifier: Apache-2.0
"""CONTRIBUTING.md: its templates are Python that works, and the files that it names are there."""

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.attacks.problems import digits, size
from tinyguard.operators import Operator

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
ROOTS = ("tinyguard", "tests", "firmware", "boards", "models", "benchmarks")
TEMPLATES = ("tinyguard/operators/elu.py", "tests/operators/cases/elu.py", "tinyguard/simulator/elu.py")
NAMED = {path for path in re.findall(r"`([\w./]+)`", TEXT) if path.split("/")[0] in ROOTS and "/" in path}


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """The class of this name that a template defines."""

    def made(name: str) -> Any:
        (source,) = (block for block in BLOCKS if f"class {name}(" in block or f"class {name}:" in block)
        module = ModuleType("template")
        monkeypatch.setitem(sys.modules, "template", module)
        exec(compile(source, name, "exec"), vars(module))
        return getattr(module, name)

    return made


@pytest.mark.parametrize("source", BLOCKS)
def test_a_template_is_python_with_a_docstring(source: str) -> None:
    assert ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize("path", sorted(NAMED - set(TEMPLATES)))
def test_a_file_that_is_named_is_there(path: str) -> None:
    """Of NAME and PORT, which stand for the reader's, the folder is."""
    whole = ROOT / path
    assert (whole.parent if re.search("NAME|PORT", path) else whole).exists()


def test_the_operator_template_is_an_operator(template: Callable[[str], Any]) -> None:
    elu = template("Elu")
    assert issubclass(elu, Operator)
    assert elu.names == ("ELU",)


def test_the_attack_template_keeps_to_its_budget(template: Callable[[str], Any]) -> None:
    problem = digits()
    outcome = template("UniformNoise")(eps=0.5, draws=3).run(problem)
    moved = size(outcome, problem, "linf")
    assert 0 < outcome.success.sum() < len(problem)
    assert moved.max() <= 0.5 + 1e-6
    assert torch.equal(outcome.success, problem.fooled(problem.victim.query(outcome.x).decided))
    assert outcome.queries.max() == 3


def test_paths_are_found_in_the_text() -> None:
    assert len(NAMED) > 20
    assert set(TEMPLATES) <= NAMED
