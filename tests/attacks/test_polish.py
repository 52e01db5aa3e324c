# SPDX-License-Identifier: Apache-2.0
"""The local search on codes: nearer, still successful, inside its queries, and close to the true optimum."""

import dataclasses
import itertools

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tests.attacks.problems import Counted, digits, linear  # noqa: E402
from tinyguard.attacks.pgd import PGD  # noqa: E402
from tinyguard.attacks.polish import NORMS, polish  # noqa: E402
from tinyguard.attacks.problem import Problem  # noqa: E402
from tinyguard.attacks.space import continuous, distance  # noqa: E402
from tinyguard.attacks.victim import FloatVictim  # noqa: E402

each_norm = pytest.mark.parametrize("norm", NORMS)


@pytest.fixture(scope="module")
def start() -> tuple[Problem, torch.Tensor]:
    """Digits, and far successes."""
    problem = digits(10)
    outcome = PGD(2.0, "l2", steps=10).run(problem)
    assert outcome.success.all()
    return problem, outcome.x


@each_norm
@pytest.mark.parametrize("gradient", [True, False])
def test_what_comes_back_succeeds_nearer_on_whole_codes(
    start: tuple[Problem, torch.Tensor], norm: str, gradient: bool
) -> None:
    problem, x = start
    rows = torch.arange(len(problem))
    counted = Counted(problem.victim)
    polished = polish(dataclasses.replace(problem, victim=counted), rows, x, norm, 60, gradient)
    assert counted.asked == polished.queries.sum()
    assert polished.queries.max() <= 60
    assert torch.equal(polished.distance, distance(polished.x - problem.x, norm))
    assert (polished.distance <= distance(x - problem.x, norm)).all()
    assert polished.distance.median() < 0.8 * distance(x - problem.x, norm).median()
    assert torch.equal(problem.space.round(polished.x), polished.x)
    assert problem.fooled(problem.victim.query(polished.x).decided).all()


@each_norm
def test_a_sample_alone_goes_the_way_it_goes_in_company(
    start: tuple[Problem, torch.Tensor], norm: str
) -> None:
    problem, x = start
    rows = torch.tensor([9, 2, 5])
    together = polish(problem, rows, x[rows], norm, 40)
    alone = polish(problem, rows[1:2], x[2:3], norm, 40)
    assert torch.equal(alone.x[0], together.x[1])
    assert alone.queries[0] == together.queries[1]


def test_what_does_not_succeed_costs_one_query(start: tuple[Problem, torch.Tensor]) -> None:
    problem, _ = start
    polished = polish(problem, torch.tensor([3]), problem.x[3:4], "l2", 40)
    assert polished.distance.isinf().all()
    assert polished.queries.tolist() == [1]
    assert torch.equal(polished.x, problem.x[3:4])


def test_more_queries_bring_no_point_further_away(start: tuple[Problem, torch.Tensor]) -> None:
    problem, x = start
    rows = torch.arange(len(problem))
    medians = [float(polish(problem, rows, x, "l2", q).distance.median()) for q in (15, 40, 120)]
    assert medians == sorted(medians, reverse=True)


@pytest.mark.parametrize(("norm", "excess"), [("l2", 1.1), ("l1", 1.1), ("l0", 1.0), ("linf", 1.0)])
def test_on_a_plane_it_comes_near_the_best_codes_of_all(norm: str, excess: float) -> None:
    """Against every point of the grid within three codes."""
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(6, generator=generator)
    space = dataclasses.replace(continuous((6,)), grid_step=torch.full((1,), 1 / 32))
    victim = FloatVictim(lambda z: torch.stack([0 * z[:, 0], (z - 0.5) @ weight - 0.1], 1), space, 2)
    count = 20
    x = space.round(0.5 + 0.06 * (torch.rand(count, 6, generator=generator) - 0.5))
    problem = Problem(victim, x, torch.zeros(count).long(), None, torch.arange(count), 0)
    assert not problem.fooled(victim.query(x).decided).any()
    far = x + 3 / 32 * weight.sign()
    polished = polish(problem, torch.arange(count), far, norm, 100)
    offsets = torch.tensor(list(itertools.product(range(-3, 4), repeat=6))) / 32
    wins = ((x[:, None] + offsets - 0.5) @ weight) > 0.1
    sizes = distance(offsets, norm)
    optimum = torch.where(wins, sizes, torch.inf).min(dim=1).values
    assert (polished.distance >= optimum - 1e-5).all()
    assert polished.distance.mean() <= excess * optimum.mean() + 1e-5


def test_off_the_grid_the_way_back_ends_at_the_boundary() -> None:
    known = linear()
    problem = known.problem
    best = PGD(3.0, "l2", steps=20).run(problem)
    rows = torch.nonzero(best.success)[:, 0]
    assert len(rows) > 8
    polished = polish(problem, rows, best.x[rows], "l2", 30)
    assert (polished.distance >= known.distances("l2")[rows] * (1 - 1e-4)).all()
    assert (polished.distance < distance(best.x[rows] - problem.x[rows], "l2")).float().mean() > 0.9
