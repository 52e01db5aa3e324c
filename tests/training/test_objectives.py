# SPDX-License-Identifier: Apache-2.0
"""The recipes' losses against their formulas, on a network whose numbers are known."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from tinyguard.attacks.space import Space, continuous
from tinyguard.training.ascent import Ascent
from tinyguard.training.objectives import Adversarial, Distillation, Ensemble, Sinkhorn, Trades, weakened
from tinyguard.training.randomness import StepDraws
from tinyguard.training.sinkhorn import sinkhorn_divergence
from tinyguard.training.trainable_network import State

DRAWS = StepDraws(0, 0, 0)
STILL = Ascent(0.1, 0.0, 0, "clean")  # an attack that changes nothing
X = torch.rand(12, 4, generator=torch.Generator().manual_seed(2))
Y = torch.arange(12) % 3


class Linear:
    """Logits x @ W, in training plus `apart`, so that both modes can be told."""

    classes = 3

    def __init__(self, seed: int = 0, apart: float = 0.0) -> None:
        self.matrix = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed)).requires_grad_()
        self.apart, self.attacks = apart, 0

    @property
    def space(self) -> Space:
        return continuous((4,))

    def laid_out(self, arrays: torch.Tensor) -> torch.Tensor:
        return arrays

    def attacked(self) -> Callable[[torch.Tensor], torch.Tensor]:
        self.attacks += 1
        return lambda x: x @ self.matrix.detach()

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.matrix + self.apart * torch.arange(3.0)

    def weights(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        return [self.matrix], []

    def rebuild(self) -> None: ...

    def state(self) -> State:
        return {"matrix": self.matrix.detach()}

    def load(self, state: State) -> None: ...


def test_adversarial_training_descends_the_loss_at_the_adversarial_inputs() -> None:
    network, ascent = Linear(), Ascent(0.1, 0.05, 4)
    loss = Adversarial(ascent).loss(network, X, Y, DRAWS)
    moved = ascent.run(
        network.attacked(), network.space, X, lambda z: functional.cross_entropy(z, Y, reduction="sum"), DRAWS
    )
    adversarial = functional.cross_entropy(network.logits(moved), Y)
    clean = functional.cross_entropy(network.logits(X), Y)
    torch.testing.assert_close(loss, adversarial)
    assert bool(adversarial > clean)
    torch.testing.assert_close(
        Adversarial(ascent, 0.25).loss(network, X, Y, DRAWS), 0.75 * adversarial + 0.25 * clean
    )


def test_trades_adds_the_divergence_to_clean_cross_entropy() -> None:
    network = Linear()
    clean = functional.cross_entropy(network.logits(X), Y)
    torch.testing.assert_close(Trades(STILL, 6.0).loss(network, X, Y, DRAWS), clean)
    ascent = Ascent(0.1, 0.05, 4, "near")
    with_divergence = Trades(ascent, 6.0).loss(network, X, Y, DRAWS)
    half = Trades(ascent, 3.0).loss(network, X, Y, DRAWS)
    assert bool(with_divergence > clean)
    torch.testing.assert_close(with_divergence - clean, 2 * (half - clean), rtol=1e-4, atol=1e-6)


def test_sinkhorn_training_adds_the_divergence_of_both_clouds_of_logits() -> None:
    network = Linear()
    torch.testing.assert_close(
        Sinkhorn(STILL, 1.0, 50).loss(network, X, Y, DRAWS), functional.cross_entropy(network.logits(X), Y)
    )
    ascent = Ascent(0.3, 0.1, 4)
    moved = ascent.run(
        network.attacked(), network.space, X, lambda z: functional.cross_entropy(z, Y, reduction="sum"), DRAWS
    )
    expected = functional.cross_entropy(network.logits(moved), Y)
    expected = expected + sinkhorn_divergence(network.logits(X), network.logits(moved))
    torch.testing.assert_close(Sinkhorn(ascent, 1.0, 50).loss(network, X, Y, DRAWS), expected)


def test_distillation_is_cross_entropy_and_the_softened_divergence() -> None:
    teacher, student = Linear(1), Linear(2)
    loss = Distillation(teacher.attacked(), 20.0, 0.1).loss(student, X, Y, DRAWS)
    wanted = (teacher.logits(X) / 20).softmax(1)
    logs = (student.logits(X) / 20).log_softmax(1)
    divergence = (wanted * (wanted.log() - logs)).sum(1).mean()
    expected = 0.1 * functional.cross_entropy(student.logits(X), Y) + 0.9 * 400 * divergence
    torch.testing.assert_close(loss, expected)
    assert not teacher.matrix.grad
    same = Distillation(student.attacked(), 20.0, 0.0).loss(student, X, Y, DRAWS)
    assert float(same.detach()) == pytest.approx(0, abs=1e-4)


def test_an_ensemble_attacks_every_member_in_turn() -> None:
    network, ascent = Linear(), Ascent(0.1, 0.1, 1)
    called = [0, 0]

    def other(place: int) -> Callable[[torch.Tensor], torch.Tensor]:
        def logits(x: torch.Tensor) -> torch.Tensor:
            called[place] += 1
            return x @ torch.ones(4, 3) * torch.arange(3.0)

        return logits

    objective = Ensemble(ascent, (other(0), other(1)))
    for step in range(90):
        objective.loss(network, X, Y, StepDraws(0, 0, step))
    own = 90 - sum(called)
    assert min(*called, own) > 15


def test_a_weakened_objective_attacks_less() -> None:
    network, full = Linear(), Adversarial(Ascent(0.3, 0.1, 4))
    losses = [float(weakened(full, share).loss(network, X, Y, DRAWS).detach()) for share in (0.1, 0.5, 1.0)]
    assert losses == sorted(losses)
    distillation = Distillation(network.attacked(), 20.0, 0.1)
    assert weakened(distillation, 0.1) is distillation
