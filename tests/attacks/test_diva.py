# SPDX-License-Identifier: Apache-2.0
"""DIVA: fooled here, right there."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from tests.attacks.problems import ELEMENTS, linear  # noqa: E402
from tinyguard.attacks.diva import DIVA, probability  # noqa: E402
from tinyguard.attacks.pgd import PGD  # noqa: E402
from tinyguard.attacks.problem import Problem  # noqa: E402
from tinyguard.attacks.space import continuous  # noqa: E402
from tinyguard.attacks.victim import FloatVictim  # noqa: E402
from tinyguard.errors import TinyguardError  # noqa: E402


def _two_networks() -> Problem:
    """A network and one that is a little turned from it, both right about every point."""
    network = linear(classes=2, count=60)
    generator = torch.Generator().manual_seed(1)
    turned = network.weight + 0.4 * torch.randn(network.weight.shape, generator=generator)
    other = FloatVictim(lambda z: z @ turned.T, continuous((ELEMENTS,)), 2)
    problem = replace(network.problem, others=(other,))
    return problem.select(other.query(problem.x).decided == problem.y)


@pytest.mark.parametrize("loss", ["probability", "ce"])
def test_it_evades_the_other_network_more_often_than_pgd(loss: str) -> None:
    problem = _two_networks()
    found = DIVA(0.05, steps=40, loss=loss).run(problem)
    here = problem.victim.query(found.x).decided
    there = problem.others[0].query(found.x).decided
    assert torch.equal(found.success, (here != problem.y) & (there == problem.y))
    plain = PGD(0.05, steps=40).run(problem)
    evaded = plain.success & (problem.others[0].query(plain.x).decided == problem.y)
    assert found.success.sum() > evaded.sum()


def test_the_loss_is_the_papers_difference_of_probabilities() -> None:
    logits, y = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([1, 0])
    share = float(torch.sigmoid(torch.tensor(2.0)))
    assert probability(logits, y, None, 0.0).tolist() == pytest.approx([-0.5, -share])
    assert probability(logits, y, 1 - y, 0.0).tolist() == pytest.approx([0.5, 1 - share])


def test_a_missing_network_and_an_unknown_loss_are_refused() -> None:
    with pytest.raises(TinyguardError, match="needs one network beside the attacked one and got 0"):
        DIVA().run(linear().problem)
    with pytest.raises(TinyguardError, match="known: probability, ce"):
        DIVA(loss="hinge").run(_two_networks())
