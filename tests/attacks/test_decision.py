# SPDX-License-Identifier: Apache-2.0
"""What decision attacks share, and what each of them must keep to."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tinyguard.attacks.boundary import Boundary
from tinyguard.attacks.decision import Decisions, dither, probe
from tinyguard.attacks.geoda import GeoDA, cosines, probes_of_steps
from tinyguard.attacks.hopskipjump import HopSkipJump
from tinyguard.attacks.problem import Attack, Outcome, Problem
from tinyguard.attacks.space import Space, continuous, space_of
from tinyguard.attacks.victim import Answer, FloatVictim, IntegerVictim
from tinyguard.backends import Backend
from tinyguard.backends.recorded import Recorded
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.data import load_data, to_codes
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
CODE = 1 / 255
ATTACKS: list[Boundary | GeoDA | HopSkipJump] = [
    Boundary(max_queries=150),
    Boundary(max_queries=150, steps=2),
    GeoDA(max_queries=150),
    GeoDA(norm="linf", max_queries=150),
    HopSkipJump(max_queries=150),
    HopSkipJump(norm="linf", max_queries=150),
]
NAMES = ["boundary", "boundary-restarts", "geoda-l2", "geoda-linf", "hopskipjump-l2", "hopskipjump-linf"]
each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Batches this small are slower on two threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclasses.dataclass
class Counted:
    """A victim that counts the images it is asked about, and keeps them."""

    victim: IntegerVictim | FloatVictim
    asked: list[torch.Tensor] = dataclasses.field(default_factory=list)

    @property
    def space(self) -> Space:
        return self.victim.space

    def query(self, x: torch.Tensor) -> Answer:
        self.asked.append(x)
        return self.victim.query(x)


def linear(count: int = 16) -> tuple[Problem, torch.Tensor]:
    """Points beside a plane through the middle of a box of 24 elements, and their distances to it."""
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(24, generator=generator)
    x = 0.3 + 0.4 * torch.rand(count, 24, generator=generator)
    bias = -(weight.sum() / 2)

    def network(x: torch.Tensor) -> torch.Tensor:
        margin = (x * weight).sum(1) + bias
        return torch.stack([margin, -margin], 1)

    victim = FloatVictim(network, continuous((24,)), 2)
    y = victim.query(x).decided
    problem = Problem(victim, x, y, None, torch.arange(count), 0)
    return problem, ((x * weight).sum(1) + bias).abs() / weight.norm()


@pytest.fixture(scope="module")
def digits() -> Problem:
    return digits_problem(read_graph(DIGITS), 8)


def digits_problem(graph: Graph, count: int, backend: Backend | None = None) -> Problem:
    """The correctly classified ones of the first `count` held-out digits."""
    return integer_problem(DIGITS, graph, "digits:test", count, backend)


def integer_problem(path: Path, graph: Graph, data: str, count: int, backend: Backend | None) -> Problem:
    metadata, tensor = read_metadata(path), graph.tensors[graph.inputs[0]]
    samples = load_data(data, tensor, limit=count)
    assert metadata is not None
    space = space_of(tensor, metadata.normalization)
    x, y = space.shares(to_codes(samples, tensor, metadata)), torch.from_numpy(samples.y).long()
    correct = IntegerVictim(Simulator(graph), space).query(x).decided == y
    victim = IntegerVictim(Simulator(graph), space, backend)
    return Problem(victim, x, y, None, torch.arange(count), 0).select(correct)


def size(attack: Attack, problem: Problem, outcome: Outcome) -> torch.Tensor:
    delta = (outcome.x - problem.x).flatten(1)
    return delta.abs().amax(1) if getattr(attack, "norm", "l2") == "linf" else delta.norm(dim=1)


def assert_same(one: Outcome, other: Outcome) -> None:
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.success, other.success)
    assert torch.equal(one.queries, other.queries)


@pytest.mark.parametrize(
    ("attack", "factor"),
    [(Boundary(max_queries=3000), 1.1), (GeoDA(max_queries=1000), 1.1), (HopSkipJump(max_queries=1000), 1.1)],
    ids=["boundary", "geoda", "hopskipjump"],
)
def test_a_plane_is_reached_at_its_distance(attack, factor):
    problem, exact = linear()
    outcome = attack.run(problem)
    found = size(attack, problem, outcome)
    assert outcome.success.all()
    assert (found >= exact * (1 - 1e-5)).all()
    assert float((found / exact).median()) < factor


def test_a_boundary_walk_that_is_spent_begins_again_elsewhere(digits):
    walk = Boundary(steps=20)
    once = walk.run(digits)
    most = int(once.queries.max())
    again = dataclasses.replace(walk, max_queries=4 * most).run(digits)
    assert (again.queries > 3 * most).all()
    first, last = (size(walk, digits, outcome) for outcome in (once, again))
    assert (last <= first).all()
    assert last.median() < 0.9 * first.median()


@each_attack
def test_whole_codes_in_the_box_that_fool_and_queries_that_are_counted(attack, digits):
    counted = Counted(digits.victim)
    outcome = attack.run(dataclasses.replace(digits, victim=counted))
    assert outcome.success.all()
    assert torch.equal(digits.space.round(outcome.x), outcome.x)
    decided = digits.victim.query(outcome.x).decided
    assert (decided != digits.y).all()
    assert int(outcome.queries.max()) <= attack.max_queries
    assert int(outcome.queries.sum()) == sum(map(len, counted.asked))


@each_attack
def test_no_query_asks_about_a_clean_input(attack, digits):
    counted = Counted(digits.victim)
    attack.run(dataclasses.replace(digits, victim=counted).select(torch.tensor([3])))
    asked = torch.cat(counted.asked)
    assert not (asked == digits.x[3]).flatten(1).all(1).any()


@pytest.mark.slow
@each_attack
def test_resnet8_is_fooled_ever_nearer(attack):
    path = DIGITS.parents[1] / "resnet8-cifar10" / "model.tflite"
    problem = integer_problem(path, read_graph(path), "cifar10:test", 4, None)
    few, many = (dataclasses.replace(attack, max_queries=queries).run(problem) for queries in (60, 300))
    assert few.success.all()
    assert torch.equal(problem.space.round(many.x), many.x)
    assert (problem.victim.query(many.x).decided != problem.y).all()
    assert size(attack, problem, many).median() < size(attack, problem, few).median()


@each_attack
@pytest.mark.parametrize("grid", ["grid", "plane"])
def test_a_sample_alone_goes_the_way_it_goes_in_a_batch(attack, grid, digits):
    problem = digits if grid == "grid" else linear()[0]
    together = attack.run(problem)
    for row in (0, 5)[: 1 if grid == "grid" else 2]:
        only = torch.tensor([row])
        alone = attack.run(problem.select(only))
        assert_same(alone, Outcome(together.x[only], together.success[only], together.queries[only]))


@each_attack
def test_the_seed_decides(attack, digits):
    some = digits.select(torch.arange(4))
    first = attack.run(some)
    assert_same(first, attack.run(some))
    assert not torch.equal(first.x, attack.run(dataclasses.replace(some, seed=1)).x)


@each_attack
def test_another_back_end_makes_no_difference(attack):
    graph = read_graph(DIGITS)
    runs = [Recorded(Simulator(graph)), Recorded(ReferenceBackend(graph))]
    outcomes = [attack.run(digits_problem(graph, 3, backend)) for backend in runs]
    assert_same(*outcomes)
    for one, other in zip(runs[0].inputs + runs[0].outputs, runs[1].inputs + runs[1].outputs, strict=True):
        assert one[0].tobytes() == other[0].tobytes()


@pytest.mark.parametrize("budget", [1, 7, 40])
@each_attack
def test_small_budgets_are_kept(attack, budget, digits):
    outcome = dataclasses.replace(attack, max_queries=budget).run(digits)
    assert int(outcome.queries.max()) <= budget
    failed = ~outcome.success
    assert torch.equal(outcome.x[failed], digits.x[failed])


@each_attack
def test_targets_are_reached_from_given_starts(attack, digits):
    targets = (digits.y + 1) % 10
    outcome = dataclasses.replace(attack, starts=digits.x).run(dataclasses.replace(digits, targets=targets))
    has_start = torch.isin(targets, digits.y)
    assert has_start.any()
    assert outcome.success[has_start].all()
    decided = digits.victim.query(outcome.x).decided
    assert torch.equal(decided[outcome.success], targets[outcome.success])


@each_attack
def test_a_class_that_no_image_has_is_refused(attack):
    problem, _ = linear(4)
    assert isinstance(problem.victim, FloatVictim)
    inner = problem.victim.network
    never = FloatVictim(lambda x: torch.cat([inner(x), torch.full((len(x), 1), -99.0)], 1), problem.space, 3)
    problem = dataclasses.replace(problem, victim=never, targets=torch.full((4,), 2))
    with pytest.raises(TinyguardError, match="no first point: give it images"):
        attack.run(problem)


@each_attack
def test_nothing_to_attack_is_no_query(attack, digits):
    outcome = attack.run(digits.select(torch.zeros(0, dtype=torch.int64)))
    assert outcome.x.shape == (0, 8, 8, 1)


@each_attack
def test_misclassified_inputs_are_survived(attack):
    problem, _ = linear(4)
    assert attack.run(dataclasses.replace(problem, y=1 - problem.y)).success.all()


def test_bisection_ends_at_neighbouring_codes(digits):
    decisions = Decisions(digits, "l2", None)
    rows = decisions.start(100, None)
    far = decisions.best.x[rows]
    for tolerance in (1e-9, 0.5):
        x, _ = decisions.to_boundary(rows, far, tolerance)
        assert digits.fooled(digits.victim.query(x).decided, rows).all()
        # One code towards clean in the element that moved the most, and in all in proportion: the other side.
        delta = x - digits.x
        share = 1 - 1.6 * CODE / delta.flatten(1).abs().amax(1)
        inner = digits.space.round(digits.x + share.reshape(-1, 1, 1, 1) * delta)
        assert (digits.victim.query(inner).decided == digits.y).float().mean() > 0.7


def test_probes_on_a_grid_are_whole_codes_of_their_length():
    space = continuous((400,))
    grid = dataclasses.replace(space, grid_step=torch.tensor([CODE]))
    noise = torch.randn(2, 64, 400, generator=torch.Generator().manual_seed(0))
    for codes in (0.01, 3.0, 10.0, 19.0):
        step = probe(grid, noise, torch.full((2,), codes * CODE)) / CODE
        assert torch.equal(step, step.round())
        assert step.abs().max() == 1
        assert (step != 0).flatten(2).any(2).all()
        assert float(step.norm(dim=2).mean()) == pytest.approx(max(1.0, codes), rel=0.05)
    dense = probe(grid, noise, torch.full((2,), 60 * CODE))
    assert dense.norm(dim=2) == pytest.approx(60 * CODE, rel=1e-4)
    assert probe(space, noise, torch.full((2,), 1e-4)).norm(dim=2) == pytest.approx(1e-4, rel=1e-4)


def test_dithering_keeps_the_mean():
    grid = dataclasses.replace(continuous((4000,)), grid_step=torch.tensor([CODE]))
    uniform = torch.rand(1, 4000, generator=torch.Generator().manual_seed(0))
    x = torch.full((1, 4000), 100.3 * CODE)
    codes = dither(grid, x, uniform) / CODE
    assert set(codes.round().flatten().tolist()) == {100.0, 101.0}
    assert float(codes.mean()) == pytest.approx(100.3, abs=0.03)


def test_cosines_are_orthonormal_and_low_frequencies_first():
    basis = cosines(32, 8)
    assert basis.shape == (32, 8)
    np.testing.assert_allclose(basis.T @ basis, np.eye(8), atol=1e-6)
    changes = (basis[1:].sign() != basis[:-1].sign()).sum(0)
    assert changes.tolist() == list(range(8))
    assert cosines(8, 75).shape == (8, 8)


def test_probes_grow_by_the_ratio_and_fit_the_budget():
    plan = probes_of_steps(1000, 0.6)
    assert 50 <= plan[0] <= 80
    assert sum(plan) + 25 * len(plan) == pytest.approx(1000, abs=len(plan))
    assert plan[1] / plan[0] == pytest.approx(0.6 ** (-2 / 3), rel=0.02)
    assert probes_of_steps(10, 0.6) == [1]
