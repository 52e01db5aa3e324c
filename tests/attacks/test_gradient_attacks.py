# SPDX-License-Identifier: Apache-2.0
"""What every gradient attack with a budget must keep to, on a linear network and on the int8 digits."""

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tests.attacks.problems import Counted, digits, linear, size  # noqa: E402
from tinyguard.attacks.apgd import APGDCE, APGDDLR, APGDTargeted  # noqa: E402
from tinyguard.attacks.autoattack import AutoAttack  # noqa: E402
from tinyguard.attacks.diva import DIVA  # noqa: E402
from tinyguard.attacks.pgd import FGSM, PGD  # noqa: E402
from tinyguard.attacks.problem import Attack, Problem  # noqa: E402
from tinyguard.errors import TinyguardError  # noqa: E402

EPS = 0.08
ATTACKS: list[Any] = [
    FGSM(EPS),
    PGD(EPS, steps=8, restarts=2),
    PGD(0.5, "l2", steps=8, loss="margin"),
    PGD(EPS, steps=8, step_size=EPS / 4, momentum=0),
    APGDCE(EPS, steps=12, restarts=2),
    APGDCE(0.5, "l2", steps=12),
    APGDDLR(EPS, steps=12),
    APGDTargeted(EPS, steps=6, targets=3),
    APGDTargeted(0.5, "l2", steps=6, targets=2),
    AutoAttack(EPS, steps=5, queries=30),
    DIVA(EPS, steps=8),
]
each_attack = pytest.mark.parametrize(
    "attack", ATTACKS, ids=[f"{i}-{attack.name}-{attack.norm}" for i, attack in enumerate(ATTACKS)]
)


@pytest.fixture(scope="module")
def on_grid() -> Problem:
    return _beside(digits())


@pytest.fixture(scope="module")
def off_grid() -> Problem:
    return _beside(linear().problem)


def _beside(problem: Problem) -> Problem:
    """With the network itself as the one that DIVA must not fool."""
    return replace(problem, others=(problem.victim,))


@each_attack
@pytest.mark.parametrize("grid", ["on_grid", "off_grid"])
def test_a_sample_alone_goes_the_way_it_goes_in_company(
    attack: Attack, grid: str, request: pytest.FixtureRequest
) -> None:
    problem: Problem = request.getfixturevalue(grid)
    together = attack.run(problem)
    for row in (0, 7):
        alone = attack.run(problem.select(torch.tensor([row])))
        if grid == "on_grid":
            assert torch.equal(alone.x[0], together.x[row])
        else:
            # A product of matrices may add up a row in another order.
            torch.testing.assert_close(alone.x[0], together.x[row], atol=1e-5, rtol=0)
        assert alone.success[0] == together.success[row]
        assert alone.queries[0] == together.queries[row]


@each_attack
def test_results_are_codes_in_the_box_and_the_budget(attack: Any, on_grid: Problem) -> None:
    found = attack.run(on_grid)
    assert torch.equal(found.x, on_grid.space.round(found.x))
    assert (size(found, on_grid, attack.norm) <= attack.eps * (1 + 1e-5)).all()
    decided = on_grid.victim.query(found.x).decided
    if not isinstance(attack, DIVA):
        assert torch.equal(found.success, decided != on_grid.y)
        assert found.success.any()


@each_attack
def test_queries_are_those_the_network_ran(attack: Attack, on_grid: Problem) -> None:
    counted = Counted(on_grid.victim)
    found = attack.run(replace(on_grid, victim=counted, others=(counted,)))
    assert int(found.queries.sum()) == counted.asked


@each_attack
def test_the_seed_decides(attack: Attack, on_grid: Problem) -> None:
    first, again = attack.run(on_grid), attack.run(on_grid)
    assert torch.equal(first.x, again.x)
    other = attack.run(replace(on_grid, seed=1))
    if not isinstance(attack, FGSM):
        assert not torch.equal(first.x, other.x)


@each_attack
def test_no_samples_and_no_gradient_are_survived(attack: Attack, on_grid: Problem) -> None:
    nobody = attack.run(on_grid.select(torch.zeros(len(on_grid), dtype=torch.bool)))
    assert len(nobody.x) == len(nobody.success) == len(nobody.queries) == 0
    flat = linear()
    flat.weight.zero_()
    problem = _beside(replace(flat.problem, y=torch.zeros(len(flat.problem), dtype=torch.int64)))
    found = attack.run(problem)
    assert not found.success.any()
    assert torch.isfinite(found.x).all()


@each_attack
def test_targets_are_reached(attack: Attack, on_grid: Problem) -> None:
    targets = (on_grid.y + 1) % 10
    problem = replace(on_grid, targets=targets)
    found = attack.run(problem)
    decided = problem.victim.query(found.x).decided
    if not isinstance(attack, DIVA):
        assert torch.equal(found.success, decided == targets)


@each_attack
def test_a_budget_under_one_code_is_refused(attack: Any, on_grid: Problem) -> None:
    with pytest.raises(TinyguardError, match="transfer"):
        replace(attack, eps=0.5 * float(on_grid.space.grid_step.min())).run(on_grid)
