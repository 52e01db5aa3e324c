# SPDX-License-Identifier: Apache-2.0
"""Auto-PGD: exact on a linear network, its checkpoints and step sizes, its classes, noise averaged away."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tests.attacks.problems import ELEMENTS, Counted, digits, linear  # noqa: E402
from tinyguard.attacks.apgd import APGDCE, APGDDLR, APGDTargeted, Climbers, checkpoints  # noqa: E402
from tinyguard.attacks.problem import Best, Problem  # noqa: E402
from tinyguard.attacks.space import continuous  # noqa: E402
from tinyguard.attacks.victim import FloatVictim  # noqa: E402
from tinyguard.attacks.view import View, averaged  # noqa: E402
from tinyguard.errors import TinyguardError  # noqa: E402


def test_checkpoints_are_the_papers() -> None:
    # p = 0, 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93, 0.99 (equation after algorithm 1)
    assert list(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert list(checkpoints(100).values()) == [22, 19, 16, 13, 10, 7, 6, 6]
    assert checkpoints(1) == {}


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("attack", [APGDCE, APGDTargeted], ids=["ce", "targeted"])
def test_a_linear_network_is_fooled_where_a_boundary_is_in_reach(norm: str, attack: type) -> None:
    network = linear(classes=5, count=40)
    distances = network.distances(norm)
    eps = float(distances.median())
    found = attack(eps, norm, steps=60).run(network.problem)
    assert not found.success[distances > eps * 1.0001].any()
    if attack is APGDTargeted:
        assert found.success[distances < eps * 0.98].all()
    else:
        # The cross-entropy climbs to the likeliest class, which need not be the nearest.
        assert found.success[distances < eps * 0.98].float().mean() >= 0.9


def _climbers(loss: list[float]) -> Climbers:
    count = len(loss)
    x = torch.zeros(count, 2)
    view = View(torch.ones(count, 2), torch.tensor(loss), torch.zeros(count, dtype=torch.bool))
    return Climbers.starting(torch.arange(count), x, x, view)


def test_the_step_halves_for_those_that_stop_rising_and_they_return_to_their_best() -> None:
    climbers = _climbers([0.0, 0.0])
    for step in range(1, 5):
        falls = -float(step)
        view = View(torch.full((2, 2), float(step)), torch.tensor([float(step), falls]), torch.zeros(2) > 0)
        climbers.arrive(torch.full((2, 2), float(step)), view)
    climbers.check(0.75 * 4)
    assert climbers.step.tolist() == [2.0, 1.0]
    assert climbers.x.tolist() == [[4.0, 4.0], [0.0, 0.0]]
    assert climbers.gradient[1].tolist() == [1.0, 1.0]
    assert climbers.best_loss.tolist() == [4.0, 0.0]
    # No better loss since a checkpoint that left the step alone: halve now, however often it rose.
    climbers.rises = torch.tensor([4, 4])
    climbers.check(0.75 * 4)
    assert climbers.step.tolist() == [1.0, 1.0]


def test_targets_are_the_likeliest_classes_but_the_label() -> None:
    network = linear(classes=6, count=8)
    problem = network.problem
    classes = APGDTargeted(targets=3)._classes(problem, Best(problem))
    logits = problem.x @ network.weight.T
    assert torch.equal(classes, logits.argsort(dim=1, descending=True)[:, 1:4])
    given = replace(problem, targets=torch.zeros(8, dtype=torch.int64))
    assert APGDTargeted()._classes(given, Best(given)).tolist() == [[0]] * 8


def test_too_few_classes_are_refused_with_the_loss_to_take() -> None:
    with pytest.raises(TinyguardError, match=r"needs 4 classes and the network has 3: type --attack apgd-ce"):
        APGDTargeted().run(linear(classes=3).problem)
    with pytest.raises(TinyguardError, match=r"needs 3 classes and the network has 2"):
        APGDDLR().run(linear(classes=2).problem)
    assert APGDDLR(0.3, steps=5).run(linear(classes=3).problem).success.any()


def test_passes_are_averaged_and_counted() -> None:
    network = linear()
    generator = torch.Generator().manual_seed(0)

    def noisy(x: torch.Tensor) -> torch.Tensor:
        return (x + 0.2 * torch.randn(x.shape, generator=generator)) @ network.weight.T

    counted = Counted(FloatVictim(noisy, continuous((ELEMENTS,)), 5))
    problem = replace(network.problem, victim=counted, stop_early=False)
    found = APGDCE(0.1, steps=10, eot=8).run(problem)
    assert (found.queries == 11 * 8).all()
    assert counted.asked == 11 * 8 * len(problem)


def test_the_majority_of_passes_decides() -> None:
    turns = iter([[True, True], [True, False], [False, False]])

    def look(x: torch.Tensor, rows: torch.Tensor, backward: bool) -> View:
        fooled = torch.tensor(next(turns))
        return View(fooled[:, None].float(), fooled.float(), fooled)

    view = averaged(look, 3)(torch.zeros(2, 1), torch.arange(2), True)
    assert view.fooled.tolist() == [True, False]
    assert view.passes == 3
    torch.testing.assert_close(view.gradient, torch.tensor([[2 / 3], [1 / 3]]))


def test_more_than_the_steps_of_pgd_on_the_int8_digits() -> None:
    """At least as strong as PGD at the same number of steps, within one sample."""
    from tinyguard.attacks.pgd import PGD

    problem: Problem = digits(60)
    plain = PGD(0.08, steps=30, step_size=0.02, momentum=0).run(problem)
    assert APGDCE(0.08, steps=30).run(problem).success.sum() >= plain.success.sum() - 1
