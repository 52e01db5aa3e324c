# SPDX-License-Identifier: Apache-2.0
"""Adversarial training of a network with several exits: the attacks on exits, and what each recipe adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch.nn import functional

from tinyguard.training.ascent import Ascent
from tinyguard.training.exit_losses import (
    label_cross_entropy,
    last_exit_distillation,
    neighbour_distillation,
    orthogonal_classes,
    orthogonal_distillation,
)
from tinyguard.training.objectives import cross_entropy_of
from tinyguard.training.randomness import CLASSES, StepDraws
from tinyguard.training.trainable_network import MultiExitNetwork, TrainableNetwork

_NKD, _EOKD = 3.0, 1.0  # the paper's alpha and beta; its gamma is 1 at each exit of a network with three
_LIGHT = 1e-3  # of exits-lw


@dataclass(frozen=True)
class Batch:
    """What a recipe's own term reads: logits (N, exits, classes), labels (N,), the step's draws."""

    network: MultiExitNetwork
    clean: torch.Tensor
    adversarial: torch.Tensor
    y: torch.Tensor
    draws: StepDraws


def _neo_kd(batch: Batch) -> torch.Tensor:
    exits, classes = batch.clean.shape[1:]
    kept = orthogonal_classes(batch.y, exits, classes, batch.draws.generator(CLASSES))
    near = neighbour_distillation(batch.clean, batch.adversarial)
    apart = orthogonal_distillation(batch.clean, batch.adversarial, kept)
    return (_NKD * near + _EOKD * apart).sum()


def _small_weights(batch: Batch) -> torch.Tensor:
    squares = [matrix.square().sum() for matrix in batch.network.last_matrices()]
    return _LIGHT * torch.stack(squares).sum()


TERMS: dict[str, Callable[[Batch], torch.Tensor]] = {
    "exits-skd": lambda batch: last_exit_distillation(batch.clean, batch.clean).sum(),
    "exits-ard": lambda batch: last_exit_distillation(batch.clean, batch.adversarial).sum(),
    "exits-lw": _small_weights,
    "neo-kd": _neo_kd,
}
"""What each recipe adds to the cross-entropies, by name. That of `exits-lw` follows the idea of the paper's
baseline LW, which shrinks the weights of each exit's classifier; its form, the squared norm of the last
matrix, and its factor are ours."""


@dataclass(frozen=True)
class MultiExit:
    """The sum over exits of cross-entropy on clean and, `weight` times, on adversarial inputs, and `term`.

    `attack` makes the adversarial inputs: "average" ascends the mean cross-entropy over exits; "max-average"
    ascends that of every exit alone, each with the whole budget, and keeps per sample the input of which the
    sum over exits is largest (Hu et al. 2020, arXiv 2002.10025). With `weight` 0 and no term nothing is
    attacked.
    """

    ascent: Ascent
    attack: str = "max-average"
    weight: float = 1.0
    term: Callable[[Batch], torch.Tensor] | None = None

    def loss(
        self, network: TrainableNetwork, x: torch.Tensor, y: torch.Tensor, draws: StepDraws
    ) -> torch.Tensor:
        network = cast("MultiExitNetwork", network)  # the recipes of exits open no other
        if not self.weight and self.term is None:
            return label_cross_entropy(network.logits(x), y).sum()
        moved = self.moved(network, x, y, draws)
        clean, adversarial = network.logits(x), network.logits(moved)
        loss = label_cross_entropy(clean, y).sum() + self.weight * label_cross_entropy(adversarial, y).sum()
        if self.term is None:
            return loss
        return loss + self.term(Batch(network, clean, adversarial, y, draws))

    def moved(
        self, network: MultiExitNetwork, x: torch.Tensor, y: torch.Tensor, draws: StepDraws
    ) -> torch.Tensor:
        """Adversarial inputs for [0, 1] pixels `x` with labels `y`."""
        loss = cross_entropy_of(y)
        if self.attack == "average":
            return self.ascent.run(network.attacked(), network.space, x, loss, draws)
        best, largest = x, torch.full((len(x),), -torch.inf)
        for place in range(network.exits):
            moved = self.ascent.run(network.attacked_at(place), network.space, x, loss, draws)
            with torch.no_grad():
                logits = network.attacked()(moved)
            labels = y[:, None].expand(-1, network.exits)
            total = functional.cross_entropy(logits.mT, labels, reduction="none").sum(1)
            larger = total > largest
            best = torch.where(larger.reshape(-1, *[1] * (x.ndim - 1)), moved, best)
            largest = torch.maximum(total, largest)
        return best
