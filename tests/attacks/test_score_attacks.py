# SPDX-License-Identifier: Apache-2.0
"""Attacks that see scores: what Square and ZOO must keep to, and what they reach."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tinyguard.attacks.problem import Attack, Problem
from tinyguard.attacks.space import continuous, l2, space_of
from tinyguard.attacks.square import Square
from tinyguard.attacks.victim import FloatVictim, IntegerVictim
from tinyguard.attacks.windows import Plane, bumps, halvings
from tinyguard.attacks.zoo import ZOO, Blocks
from tinyguard.backends.recorded import Recorded
from tinyguard.data import load_data, to_codes
from tinyguard.errors import TinyguardError
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
CODE = 1 / 255
ATTACKS = [
    Square(28 * CODE, queries=60),
    Square(28 * CODE, queries=60, draws=3),
    Square(0.5, "l2", queries=60),
    Square(28 * CODE, queries=20, restarts=2),
    ZOO(steps=10, searches=1, c=10.0, learning_rate=0.05),
]
NAMES = ["linf", "dithered", "l2", "restarts", "zoo"]
each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)


def linear(shape: tuple[int, ...], count: int = 16) -> tuple[Problem, torch.Tensor]:
    """Points beside a plane through the middle of the box, and their L2 distances to it."""
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(shape, generator=generator).flatten()
    x = 0.3 + 0.4 * torch.rand(count, *shape, generator=generator)

    def network(x: torch.Tensor) -> torch.Tensor:
        margin = (x.flatten(1) - 0.5) @ weight
        return torch.stack([margin, -margin], 1)

    victim = FloatVictim(network, continuous(shape), 2)
    y = victim.query(x).decided
    distance = ((x.flatten(1) - 0.5) @ weight).abs() / weight.norm()
    return Problem(victim, x, y, None, torch.arange(count), 0), distance


@pytest.fixture(scope="module")
def digits() -> Problem:
    """16 digits that the int8 network knows."""
    graph, metadata = read_graph(DIGITS), read_metadata(DIGITS)
    assert metadata is not None
    tensor = graph.tensors[graph.inputs[0]]
    samples = load_data("digits:test", tensor, limit=20)
    assert samples.y is not None
    space = space_of(tensor, metadata.normalization)
    victim = IntegerVictim(Simulator(graph), space)
    x, y = space.shares(to_codes(samples, tensor, metadata)), torch.from_numpy(samples.y).long()
    right = torch.nonzero(victim.query(x).decided == y)[:16, 0]
    return Problem(victim, x, y, None, torch.arange(len(x)), 7).select(right)


@each_attack
@pytest.mark.parametrize("grid", [True, False])
def test_a_sample_alone_walks_as_in_the_batch(attack: Attack, grid: bool, digits: Problem) -> None:
    problem = digits if grid else linear((4, 4, 2))[0]
    together = attack.run(problem)
    for row in (0, 7):
        alone = attack.run(problem.select(torch.tensor([row])))
        assert torch.equal(alone.x[0], together.x[row])
        assert alone.queries[0] == together.queries[row]
        assert alone.success[0] == together.success[row]


@each_attack
def test_outcomes_are_whole_codes_in_the_budget_and_true(attack: Attack, digits: Problem) -> None:
    outcome, space = attack.run(digits), digits.space
    assert torch.equal(outcome.x, space.round(outcome.x))
    codes = (outcome.x - space.grid_offset) / space.grid_step
    assert (codes - codes.round()).abs().max() < 1e-4
    assert torch.equal(outcome.x, space.clip(outcome.x))
    decided = digits.victim.query(outcome.x).decided
    assert torch.equal(decided != digits.y, outcome.success)
    assert outcome.success.any()
    delta = outcome.x - digits.x
    if isinstance(attack, Square) and attack.norm == "linf":
        assert delta.abs().max() <= attack.eps * (1 + 1e-5)
    elif isinstance(attack, Square):
        assert l2(delta).max() <= attack.eps * (1 + 1e-5)


@each_attack
def test_seeds_decide_everything(attack: Attack, digits: Problem) -> None:
    first, again = attack.run(digits), attack.run(digits)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.queries, again.queries)
    if isinstance(attack, Square):
        assert not torch.equal(first.x, attack.run(dataclasses.replace(digits, seed=8)).x)


@each_attack
def test_every_query_is_counted(attack: Attack, digits: Problem) -> None:
    victim = digits.victim
    assert isinstance(victim, IntegerVictim)
    recorded = Recorded(victim.simulator)
    counted = IntegerVictim(victim.simulator, victim.space, backend=recorded)
    outcome = attack.run(dataclasses.replace(digits, victim=counted))
    assert int(outcome.queries.sum()) == sum(len(x) for (x,) in recorded.inputs)
    if isinstance(attack, Square):
        assert outcome.queries.max() <= attack.queries * attack.restarts


@each_attack
def test_targets_are_reached(attack: Attack, digits: Problem) -> None:
    wide = (
        {"queries": 300, "eps": 0.3 if attack.norm == "linf" else 1.5} if isinstance(attack, Square) else {}
    )
    targeted = dataclasses.replace(digits, targets=(digits.y + 1) % 10)
    strong = dataclasses.replace(attack, **wide) if wide else ZOO(10, 1, 100.0, 0.1)  # type: ignore[type-var]
    outcome = strong.run(targeted)
    assert outcome.success.any()
    decided = digits.victim.query(outcome.x).decided
    assert torch.equal(decided == targeted.targets, outcome.success)


def test_the_grid_is_at_its_ends() -> None:
    problem, _ = linear((6, 6, 1))
    outcome = Square(0.01, queries=40).run(problem)
    sizes = (outcome.x - problem.x).abs()
    assert torch.allclose(sizes, torch.full_like(sizes, 0.01), atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 4, 2), (49, 10, 1), (24,), (20, 2), (1, 30, 3), (2, 3, 4, 2)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_inputs_of_every_shape_reach_a_plane_inside_the_budget(shape: tuple[int, ...], norm: str) -> None:
    problem, distance = linear(shape)
    weight = float(distance.max())
    eps = 3 * weight if norm == "l2" else 0.4
    outcome = Square(eps, norm, queries=400).run(problem)
    assert outcome.success.all()
    delta = outcome.x - problem.x
    size = l2(delta) if norm == "l2" else delta.abs().flatten(1).max(dim=1).values
    assert size.max() <= eps * (1 + 1e-5)


def test_zoo_reaches_nearly_the_distance_to_a_plane() -> None:
    problem, distance = linear((4, 4, 2))
    outcome = ZOO(steps=40, searches=6, learning_rate=0.01).run(problem)
    assert outcome.success.all()
    assert torch.all(l2(outcome.x - problem.x) <= 1.1 * distance + 1e-4)


def test_ties_lead_off_plateaus(digits: Problem) -> None:
    eps = 20 * CODE
    left = [
        int((~Square(eps, queries=200, accept_ties=ties).run(digits).success).sum()) for ties in (True, False)
    ]
    assert left[0] <= left[1]


def test_a_proposal_that_changes_nothing_costs_nothing() -> None:
    """One element with two ends: the second query turns it round, and no third point exists."""
    problem, _ = linear((1,), count=4)
    constant = FloatVictim(lambda x: torch.stack([x[:, 0] * 0 + 1, x[:, 0] * 0], 1), problem.space, 2)
    asked: list[torch.Tensor] = []
    query = constant.query
    constant.query = lambda x: asked.append(x) or query(x)  # type: ignore[method-assign, func-returns-value]
    still = dataclasses.replace(problem, victim=constant, y=torch.zeros(4, dtype=torch.int64))
    outcome = Square(0.1, queries=30, accept_ties=False).run(still)
    assert not outcome.success.any()
    assert int(outcome.queries.sum()) == sum(map(len, asked))


def test_a_budget_under_one_code_is_refused(digits: Problem) -> None:
    with pytest.raises(TinyguardError, match="under one code"):
        Square(0.5 * CODE, queries=5).run(digits)


def test_the_schedule_is_the_papers() -> None:
    step = torch.tensor([0, 10, 11, 50, 51, 200, 500, 1000, 2000, 4000, 6000, 8000, 8001])
    assert halvings(step, torch.tensor(10000)).tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]


def test_windows_keep_the_share_of_what_is_no_square() -> None:
    plane = Plane((49, 10, 1), 49, 10, 1)
    assert plane.window(0.8, 1) == (39, 10)
    assert plane.window(0.05, 1) == (5, 5)
    assert Plane((32, 32, 3), 32, 32, 3).window(0.8, 1) == (29, 29)
    assert Plane((100,), 1, 100, 1).window(0.05, 1) == (1, 5)


def test_bumps_have_norm_one_and_two_halves() -> None:
    patterns = bumps(torch.tensor([3, 7]), torch.tensor([3, 7]))
    assert torch.allclose(patterns.flatten(1).norm(dim=1), torch.ones(4))
    assert np.sign(patterns[2, 1:8, 4]).tolist() == [1, 1, 1, -1, -1, -1, -1]
    assert torch.equal(patterns[3], patterns[2].T)


def test_blocks_are_as_small_as_the_coordinates_allow() -> None:
    image = Plane((32, 32, 3), 32, 32, 3)
    assert Blocks.of(image, None, 128).count == 108
    assert Blocks.of(Plane((8, 8, 1), 8, 8, 1), None, 128).count == 64
    single = Blocks.of(image, 1, 128)
    assert single.count == 3072
    assert single.spread(torch.eye(3072)[5:6]).flatten().nonzero()[:, 0].tolist() == [5]


@pytest.mark.parametrize("grid", [True, False])
def test_zoo_keeps_to_its_queries(grid: bool, digits: Problem) -> None:
    problem = digits if grid else linear((4, 4, 2))[0]
    outcome = ZOO(c=10.0, learning_rate=0.05, max_queries=700).run(problem)
    assert 300 < outcome.queries.max() <= 700
