# SPDX-License-Identifier: Apache-2.0
"""AutoAttack: which stages run, on whom, and what is returned."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tests.attacks.problems import digits, linear  # noqa: E402
from tinyguard.attacks.apgd import APGDCE  # noqa: E402
from tinyguard.attacks.autoattack import AutoAttack  # noqa: E402
from tinyguard.errors import TinyguardError  # noqa: E402


@pytest.mark.parametrize(
    ("version", "classes", "targeted", "names"),
    [
        ("standard", 4, False, ["apgd-ce", "apgd-t", "fab-t", "square"]),
        ("standard", 3, False, ["apgd-ce", "fab-t", "square"]),
        ("standard", 2, False, ["apgd-ce", "fab-t", "square"]),
        ("rand", 3, False, ["apgd-ce", "apgd-dlr"]),
        ("rand", 3, True, ["apgd-ce"]),
        ("rand", 2, False, ["apgd-ce"]),
    ],
)
def test_the_stages_are_the_papers(version: str, classes: int, targeted: bool, names: list[str]) -> None:
    problem = linear(classes=classes).problem
    if targeted:
        problem = replace(problem, targets=problem.y)
    stages = AutoAttack(0.1, version=version).stages(problem)
    assert [stage.name for stage in stages] == names
    for stage in stages:
        assert stage.eps == 0.1
        assert getattr(stage, "steps", 100) == 100
        assert getattr(stage, "targets", 9) == 9
        assert getattr(stage, "queries", 5000) == 5000
        assert getattr(stage, "eot", 20) == (20 if version == "rand" else 1) or stage.name in (
            "fab-t",
            "square",
        )


def test_only_survivors_go_on_and_all_queries_add_up() -> None:
    problem = digits(40)
    whole, first = AutoAttack(0.06, steps=10, queries=40).run(problem), APGDCE(0.06, steps=10).run(problem)
    assert (whole.success >= first.success).all()
    assert torch.equal(whole.x[first.success], first.x[first.success])
    assert torch.equal(whole.queries[first.success], first.queries[first.success])
    assert (whole.queries[~first.success] > first.queries[~first.success]).all()
    assert torch.equal(whole.x[~whole.success], first.x[~whole.success])
    assert torch.equal(whole.success, problem.victim.query(whole.x).decided != problem.y)


def test_progress_never_goes_back() -> None:
    seen: list[int] = []
    problem = replace(digits(24), on_progress=seen.append)
    found = AutoAttack(0.1, steps=5, queries=20).run(problem)
    assert seen == sorted(seen)
    assert seen[-1] >= int(found.success.sum()) - 1


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(TinyguardError, match="known: standard, rand"):
        AutoAttack(version="plus").run(linear().problem)
