# SPDX-License-Identifier: Apache-2.0
"""Carlini and Wagner's attacks and the elastic net: what they share, and each one's fact about a plane."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.attacks import networks
from tinyguard.attacks.carlini_wagner import CarliniWagnerL2
from tinyguard.attacks.carlini_wagner_linf import CarliniWagnerLinf
from tinyguard.attacks.ead import EAD
from tinyguard.attacks.losses import margin
from tinyguard.attacks.problem import Attack, Best, Outcome, Problem
from tinyguard.attacks.space import Space, continuous, distance, l2, space_of
from tinyguard.attacks.trade_off import TradeOff, limited, shrunk
from tinyguard.attacks.victim import FloatVictim, IntegerVictim, Objective, Slope
from tinyguard.data import load_data, to_codes
from tinyguard.errors import TinyguardError
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata

Network = Callable[[torch.Tensor], torch.Tensor]
MODELS = Path(__file__).parents[2] / "models"
ELEMENTS = 24
NORM = {"cw-l2": "l2", "cw-linf": "linf", "ead": "l1"}
# Constants that grow faster make the Linf attack twice as fast and hardly weaker.
ATTACKS: list[Attack] = [CarliniWagnerL2(), CarliniWagnerLinf(const_factor=10.0), EAD()]
each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])


@dataclasses.dataclass
class Counted:
    """A victim that counts the images it is asked about."""

    victim: IntegerVictim | FloatVictim
    asked: int = 0

    @property
    def space(self) -> Space:
        return self.victim.space

    @property
    def logit_step(self) -> float:
        return self.victim.logit_step

    def slope(self, x: torch.Tensor, objective: Objective, backward: bool = True) -> Slope:
        assert len(x), "an empty selection reached the network"
        self.asked += len(x)
        return self.victim.slope(x, objective, backward)


@dataclasses.dataclass
class Plane:
    """Points of a box beside the plane weight * x + bias = 0; `height` is the value of the left side."""

    problem: Problem
    weight: torch.Tensor
    height: torch.Tensor


def plane(count: int = 16) -> Plane:
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(ELEMENTS, generator=generator)
    x = 0.3 + 0.4 * torch.rand(count, ELEMENTS, generator=generator)
    bias = -weight.sum() / 2

    def network(x: torch.Tensor) -> torch.Tensor:
        height = (x * weight).sum(1) + bias
        return torch.stack([height, -height], 1)

    victim = FloatVictim(network, continuous((ELEMENTS,)), 2)
    problem = Problem(victim, x, victim.query(x).decided, None, torch.arange(count), 0)
    return Plane(problem, weight, (x * weight).sum(1) + bias)


@pytest.fixture(scope="module")
def digits() -> Problem:
    return integer_problem("digits", "digits:test", 12)


def integer_problem(model: str, data: str, count: int) -> Problem:
    """The first images of the held-out ones that the integer network classifies."""
    path = MODELS / model / "model.tflite"
    graph, metadata = read_graph(path), read_metadata(path)
    tensor = graph.tensors[graph.inputs[0]]
    samples = load_data(data, tensor, limit=count)
    assert metadata is not None
    assert samples.y is not None
    space = space_of(tensor, metadata.normalization)
    victim = IntegerVictim(Simulator(graph), space)
    x, y = space.shares(to_codes(samples, tensor, metadata)), torch.from_numpy(samples.y).long()
    problem = Problem(victim, x, y, None, torch.arange(count), 0)
    return problem.select(victim.query(x).decided == y)


def to_next_class(problem: Problem) -> Problem:
    return dataclasses.replace(problem, targets=(problem.y + 1) % 10)


def sizes(attack: Attack, problem: Problem, outcome: Outcome) -> torch.Tensor:
    return distance(outcome.x - problem.x, NORM[attack.name])


def assert_same(one: Outcome, other: Outcome) -> None:
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.success, other.success)
    assert torch.equal(one.queries, other.queries)


@pytest.mark.parametrize(
    ("attack", "dual", "factor"),
    [(CarliniWagnerL2(), 2, 1.01), (CarliniWagnerLinf(), 1, 1.05)],
    ids=["cw-l2", "cw-linf"],
)
def test_a_plane_is_reached_at_its_distance(attack, dual, factor):
    beside = plane()
    outcome = attack.run(beside.problem)
    exact = beside.height.abs() / beside.weight.norm(p=dual)
    ratio = sizes(attack, beside.problem, outcome) / exact
    assert outcome.success.all()
    assert float(ratio.min()) >= 1 - 1e-5
    assert float(ratio.max()) < factor


def test_the_elastic_net_of_a_plane_is_reached():
    beside, weight = plane(), 0.1
    outcome = EAD(beta=weight, learning_rate=1.0).run(beside.problem)
    assert outcome.success.all()

    def optimum(price: torch.Tensor) -> torch.Tensor:
        """The changes of least |delta|^2 + weight * |delta|_1 at a price for each unit of height."""
        return shrunk(price[:, None] * beside.weight, weight) / 2

    low, high = torch.zeros(16), torch.full((16,), 100.0)
    for _ in range(60):
        middle = (low + high) / 2
        enough = (optimum(middle) * beside.weight).sum(1) > beside.height.abs()
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)

    def net(delta: torch.Tensor) -> torch.Tensor:
        return l2(delta) ** 2 + weight * distance(delta, "l1")

    ratio = net(outcome.x - beside.problem.x) / net(optimum(high))
    assert float(ratio.min()) > 1 - 1e-3
    assert float(ratio.max()) < 1.03


def test_the_largest_weight_alone_moves_under_a_strong_shrinkage():
    beside = plane()
    outcome = EAD(beta=0.02, rule="L1").run(beside.problem)
    nearest = beside.height.abs() / beside.weight.abs().max()
    inside = nearest < 0.29
    ratio = sizes(EAD(), beside.problem, outcome) / nearest
    assert inside.sum() > 4
    assert outcome.success.all()
    assert float(ratio[inside].median()) < 1.05


@each_attack
def test_whole_codes_in_the_box_that_fool_and_queries_that_are_counted(attack, digits):
    counted = Counted(digits.victim)
    outcome = attack.run(dataclasses.replace(digits, victim=counted))
    assert outcome.success.all()
    assert torch.equal(digits.space.round(outcome.x), outcome.x)
    assert (digits.victim.query(outcome.x).decided != digits.y).all()
    assert int(outcome.queries.sum()) == counted.asked


@each_attack
@pytest.mark.parametrize("grid", ["grid", "plane"])
def test_a_sample_alone_goes_the_way_it_goes_in_a_batch(attack, grid, digits):
    problem = digits if grid == "grid" else plane().problem
    together = attack.run(problem)
    for row in (0, 5):
        only = torch.tensor([row])
        alone = attack.run(problem.select(only))
        assert_same(alone, Outcome(together.x[only], together.success[only], together.queries[only]))


@each_attack
def test_two_runs_are_equal(attack, digits):
    some = digits.select(torch.arange(4))
    assert_same(attack.run(some), attack.run(some))


@each_attack
def test_targets_are_reached_from_farther_away(attack, digits):
    aimed = to_next_class(digits)
    outcome = attack.run(aimed)
    assert outcome.success.all()
    assert digits.victim.query(outcome.x).decided.tolist() == ((digits.y + 1) % 10).tolist()
    anywhere = attack.run(digits)
    assert sizes(attack, digits, outcome).median() > sizes(attack, digits, anywhere).median()


@each_attack
def test_misclassified_inputs_are_successes_as_they_are(attack, digits):
    some = digits.select(torch.arange(3))
    wrong = dataclasses.replace(some, y=torch.stack([(some.y[0] + 1) % 10, some.y[1], some.y[2]]))
    outcome = attack.run(wrong)
    assert outcome.success.all()
    assert torch.equal(outcome.x[0], some.x[0])


@each_attack
def test_nothing_to_attack_is_no_query(attack, digits):
    nobody = dataclasses.replace(digits, victim=Counted(digits.victim)).select(
        torch.zeros(0, dtype=torch.int64)
    )
    assert len(attack.run(nobody).x) == 0


@each_attack
def test_a_network_without_a_gradient_is_given_up(attack):
    victim = FloatVictim(lambda x: torch.tensor([[1.0, 0.0]]) + 0 * x[:, :2], continuous((ELEMENTS,)), 2)
    x = plane(3).problem.x
    outcome = attack.run(Problem(victim, x, torch.zeros(3, dtype=torch.int64), None, torch.arange(3), 0))
    assert not outcome.success.any()
    assert torch.equal(outcome.x, x)


@pytest.mark.parametrize(
    "attack", [CarliniWagnerL2(confidence=2.0), EAD(confidence=2.0)], ids=["cw-l2", "ead"]
)
def test_confidence_is_a_margin_of_logits(attack, digits):
    outcome = attack.run(digits)
    assert outcome.success.all()
    with torch.no_grad():
        ahead = margin(digits.victim.logits(outcome.x), digits.y, None, 0.0)
    assert float(ahead.min()) >= 2.0


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_the_local_search_brings_whole_codes_nearer(attack, digits):
    without = dataclasses.replace(attack, polish_queries=0).run(digits)
    with_search = attack.run(digits)
    shares = sizes(attack, digits, with_search) / sizes(attack, digits, without)
    assert float(shares.max()) <= 1
    assert float(shares.mean()) < 0.995


def test_each_rule_keeps_the_success_nearest_in_its_own_measure(digits):
    kept = {rule: EAD(rule=rule, polish_queries=0).run(digits).x - digits.x for rule in ("EN", "L1", "L2")}
    for other in kept.values():
        assert (distance(kept["L1"], "l1") <= distance(other, "l1") + 1e-6).all()
        assert (l2(kept["L2"]) <= l2(other) + 1e-6).all()


def test_the_elastic_net_changes_fewer_elements_than_carlini_wagner(digits):
    few, many = (attack.run(digits).x - digits.x for attack in (EAD(), CarliniWagnerL2()))
    assert distance(few, "l0").median() < 0.7 * distance(many, "l0").median()
    assert distance(few, "l1").median() < distance(many, "l1").median()


def test_an_unknown_rule_is_refused(digits):
    with pytest.raises(TinyguardError, match="no decision rule named 'L0' in ead; known: EN, L1, L2"):
        EAD(rule="L0").run(digits)


def test_constants_grow_until_they_succeed_and_then_close_in():
    problem = plane(2).problem
    best, both, trade_off = Best(problem), torch.arange(2), TradeOff(0.01, 2)
    trade_off.update(both, torch.tensor([False, True]))
    assert trade_off.c.tolist() == pytest.approx([0.1, 0.001])
    trade_off.update(both, torch.tensor([True, False]))
    assert trade_off.c.tolist() == pytest.approx([0.01 * 10**0.5, 0.001 * 10**0.5])
    best.distance[1] = 0
    assert trade_off.worth(best).tolist() == [0]
    trade_off.c[0] = 1e10
    assert trade_off.worth(best).tolist() == []


def test_no_element_moves_by_more_than_half_the_range():
    move = torch.tensor([[0.1, -0.4], [2.0, -1.0]])
    assert torch.equal(limited(move), torch.tensor([[0.1, -0.4], [0.5, -0.25]]))


def compared(
    problem: Problem, network: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each image's L2 attacked on the integer network, and on its float source, whose perturbation is then
    scaled up in steps of 5 % until its rounding fools the integer network."""
    source = FloatVictim(network, continuous(problem.space.shape), 10)
    problem = problem.select(source.query(problem.x).decided == problem.y)
    crafted = CarliniWagnerL2().run(dataclasses.replace(problem, victim=source)).x - problem.x
    rows, best = torch.arange(len(problem)), Best(problem)
    for step in range(60):
        x = problem.space.round(problem.x + crafted * 1.05**step)
        best.offer_nearest(rows, x, l2(x - problem.x), problem.fooled(problem.victim.query(x).decided))
    direct = CarliniWagnerL2().run(problem)
    assert direct.success.all()
    return l2(direct.x - problem.x), torch.where(best.success, best.distance, torch.inf)


def test_codes_found_directly_are_nearer_than_rounded_ones(digits):
    pytest.importorskip("h5py")
    network = networks.digits()
    direct, rounded = compared(digits, lambda x: network(x.permute(0, 3, 1, 2)))
    assert direct.median() <= rounded.median()
    assert (direct / rounded).median() < 0.95


@pytest.mark.slow
def test_codes_found_directly_are_nearer_than_rounded_ones_on_resnet8():
    try:
        problem = integer_problem("resnet8-cifar10", "cifar10:test", 20)
    except TinyguardError as error:
        pytest.skip(str(error))
    network = networks.resnet8()
    direct, rounded = compared(problem, lambda x: network(x.permute(0, 3, 1, 2)))
    assert direct.median() <= rounded.median()
    assert (direct / rounded).median() < 0.95
