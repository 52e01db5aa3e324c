# SPDX-License-Identifier: Apache-2.0
"""DeepFool, FAB-T and JSMA: what they share, and each one's fact about a linear classifier."""

import dataclasses
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tests.attacks.problems import Counted, digits, linear  # noqa: E402
from tinyguard.attacks.deepfool import DeepFool  # noqa: E402
from tinyguard.attacks.fab import FABTargeted  # noqa: E402
from tinyguard.attacks.jsma import JSMA  # noqa: E402
from tinyguard.attacks.problem import Attack, Problem  # noqa: E402
from tinyguard.attacks.space import continuous, distance  # noqa: E402
from tinyguard.attacks.victim import FloatVictim  # noqa: E402
from tinyguard.errors import TinyguardError  # noqa: E402

ATTACKS: list[Any] = [
    DeepFool(polish_queries=30),
    DeepFool("linf", polish_queries=30),
    FABTargeted(steps=10, targets=2, polish_queries=30),
    FABTargeted(norm="l2", steps=10, targets=2, restarts=2, polish_queries=30),
    FABTargeted(0.08, steps=10, targets=2, restarts=2),
    FABTargeted(0.5, "l2", steps=10, targets=2),
    JSMA(polish_queries=30),
    JSMA(theta=1.0, directions="up", polish_queries=30),
]
each_attack = pytest.mark.parametrize(
    "attack", ATTACKS, ids=[f"{i}-{attack.name}-{attack.norm}" for i, attack in enumerate(ATTACKS)]
)
TARGETED = [attack for attack in ATTACKS if attack.name != "deepfool"]


@pytest.fixture(scope="module")
def on_grid() -> Problem:
    return digits(8)


@pytest.fixture(scope="module")
def off_grid() -> Problem:
    return linear().problem


@each_attack
@pytest.mark.parametrize("grid", ["on_grid", "off_grid"])
def test_a_sample_alone_goes_the_way_it_goes_in_company(
    attack: Attack, grid: str, request: pytest.FixtureRequest
) -> None:
    problem: Problem = request.getfixturevalue(grid)
    together = attack.run(problem)
    for row in (0, 5):
        alone = attack.run(problem.select(torch.tensor([row])))
        if grid == "on_grid":
            assert torch.equal(alone.x[0], together.x[row])
            assert alone.queries[0] == together.queries[row]
        else:
            assert torch.allclose(alone.x[0], together.x[row], atol=1e-4)


@each_attack
def test_successes_are_whole_codes_that_fool_and_failures_are_clean(attack: Attack, on_grid: Problem) -> None:
    counted = Counted(on_grid.victim)
    outcome = attack.run(dataclasses.replace(on_grid, victim=counted))
    space = on_grid.space
    assert counted.asked <= outcome.queries.sum()
    assert torch.equal(space.shares(space.code_array(outcome.x)), outcome.x)
    assert torch.equal(on_grid.fooled(on_grid.victim.query(outcome.x).decided), outcome.success)
    assert torch.equal(outcome.x[~outcome.success], on_grid.x[~outcome.success])
    assert outcome.success.any()
    eps = getattr(attack, "eps", None)
    if eps is not None:
        assert distance(outcome.x - on_grid.x, attack.norm).max() <= eps * (1 + 1e-5)  # type: ignore[attr-defined]
    else:
        assert outcome.success.float().mean() >= 0.9


@pytest.mark.parametrize("attack", TARGETED, ids=[f"{i}-{a.name}" for i, a in enumerate(TARGETED)])
def test_a_target_is_reached(attack: Attack, on_grid: Problem) -> None:
    problem = dataclasses.replace(on_grid, targets=(on_grid.y + 1) % 10)
    outcome = attack.run(problem)
    decided = problem.victim.query(outcome.x).decided
    assert torch.equal(decided == problem.targets, outcome.success)
    if getattr(attack, "eps", None) is None:
        assert outcome.success.float().mean() >= 0.7


def test_random_starts_depend_on_the_seed_alone(on_grid: Problem) -> None:
    attack = FABTargeted(norm="l2", steps=4, targets=2, restarts=2, polish_queries=1)
    first, again = attack.run(on_grid), attack.run(on_grid)
    other = attack.run(dataclasses.replace(on_grid, seed=1))
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, other.x)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("attack", [DeepFool(), FABTargeted(steps=30, targets=4)], ids=lambda a: a.name)
def test_on_a_linear_classifier_the_distance_is_that_of_the_nearest_plane(attack: Any, norm: str) -> None:
    known = linear()
    outcome = dataclasses.replace(attack, norm=norm).run(known.problem)
    assert outcome.success.all()
    reached, exact = distance(outcome.x - known.problem.x, norm), known.distances(norm)
    assert (reached >= exact * (1 - 1e-4)).all()
    assert (reached <= exact * 1.002).all()


def test_fab_leaves_when_the_budget_holds_its_success() -> None:
    known = linear()
    exact = known.distances("l2")
    eps = float(exact.sort().values[7:9].mean())
    outcome = FABTargeted(eps, "l2", steps=30, targets=4).run(known.problem)
    assert torch.equal(outcome.success, exact <= eps)
    unlimited = FABTargeted(None, "l2", steps=30, targets=4).run(known.problem)
    assert outcome.queries[outcome.success].float().mean() < unlimited.queries.float().mean() / 2


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_fab_under_a_larger_budget_needs_no_second_search(on_grid: Problem, norm: str) -> None:
    unlimited = FABTargeted(None, norm, steps=10, targets=2).run(on_grid)
    assert unlimited.success.any()
    # Of the distances themselves: on a grid there are few in Linf, and a budget of the largest leaves none.
    reached = distance(unlimited.x - on_grid.x, norm)[unlimited.success].unique()
    small, large = (float(reached[at]) for at in ((len(reached) - 1) // 3, -max(2, len(reached) // 4)))
    assert small < large
    first = FABTargeted(small, norm, steps=10, targets=2).run(on_grid)
    left = ~first.success
    assert first.success.any()
    assert first.nearest is not None
    again = FABTargeted(large, norm, steps=10, targets=2)
    alone = again.run(on_grid.select(left))
    known = again.run(dataclasses.replace(on_grid.select(left), nearest=first.nearest[left]))
    assert alone.success.any()
    assert not alone.success.all()
    assert torch.equal(known.success, alone.success)
    assert not known.queries.any()
    assert torch.equal(known.x[~known.success], alone.x[~known.success])
    clean = on_grid.x[left]
    assert (distance(known.x - clean, norm) <= distance(alone.x - clean, norm) * (1 + 1e-6)).all()


def test_deepfool_takes_no_targets(on_grid: Problem) -> None:
    with pytest.raises(TinyguardError, match="takes no targets"):
        DeepFool().run(dataclasses.replace(on_grid, targets=on_grid.y))


def test_deepfool_goes_on_where_logits_tie() -> None:
    """Margins and steps of zero, on a grid where every small step rounds away."""
    space = dataclasses.replace(continuous((4,)), grid_step=torch.full((1,), 1 / 16))
    weight = torch.tensor([[1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.2]])
    victim = FloatVictim(lambda z: z @ weight.T, space, 2)
    victim.logit_step = 0.01
    x = torch.full((1, 4), 0.5)
    x[0, 2] = 0.8125
    x[0, 1] = 0.9375
    x[0, 0] = 0.4375
    x[0, 3] = 0.46875
    problem = Problem(victim, space.round(x), victim.query(x).decided, None, torch.arange(1), 0)
    assert DeepFool().run(problem).success.all()


def test_jsma_moves_the_two_elements_of_the_largest_gradient() -> None:
    weight = torch.tensor([0.1, -3.0, 2.0, 0.5, 1.0, -0.2])
    victim = FloatVictim(
        lambda z: torch.stack([0 * z[:, 0], (z - 0.5) @ weight - 0.35], 1), continuous((6,)), 2
    )
    problem = Problem(victim, torch.full((1, 6), 0.5), torch.zeros(1).long(), None, torch.arange(1), 0)
    both = JSMA(theta=0.08, polish_queries=1).run(problem)
    assert torch.allclose(both.x - 0.5, torch.tensor([[0, -0.08, 0.08, 0, 0, 0]]), atol=1e-6)
    up = JSMA(theta=0.4, directions="up", polish_queries=1).run(problem)
    assert torch.allclose(up.x - 0.5, torch.tensor([[0, 0, 0.4, 0, 0.4, 0]]), atol=1e-6)
    polished = JSMA(theta=0.4, directions="up").run(problem)
    assert distance(polished.x - 0.5, "l0").tolist() == [1]


def test_jsma_gives_up_above_the_share_of_changed_elements(on_grid: Problem) -> None:
    few, many = JSMA(gamma=0.03).run(on_grid), JSMA().run(on_grid)
    assert few.success.sum() < many.success.sum()
    assert distance(many.x - on_grid.x, "l0")[~few.success & many.success].min() >= 2
    with pytest.raises(TinyguardError, match="theta and gamma"):
        JSMA(theta=0).run(on_grid)
    with pytest.raises(TinyguardError, match="up, both"):
        JSMA(directions="down").run(on_grid)


def test_theta_is_at_least_one_code(on_grid: Problem) -> None:
    outcome = JSMA(theta=1e-4).run(on_grid.select(torch.arange(2)))
    assert outcome.success.all()
