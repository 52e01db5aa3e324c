# SPDX-License-Identifier: Apache-2.0
"""What each recipe makes of a batch: the loss to descend, of clean [0, 1] pixels `x` and labels `y`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch.nn import functional

from tinyguard.training.ascent import Ascent
from tinyguard.training.randomness import SOURCE, StepDraws
from tinyguard.training.sinkhorn import sinkhorn_divergence
from tinyguard.training.trainable_network import TrainableNetwork


class Objective(Protocol):
    """A recipe's loss, a scalar with a gradient of the weights."""

    def loss(
        self, network: TrainableNetwork, x: torch.Tensor, y: torch.Tensor, draws: StepDraws
    ) -> torch.Tensor: ...


def weakened(objective: Any, share: float) -> Objective:
    """The objective with `share` of its attack's radius, where it attacks."""
    ascent = getattr(objective, "ascent", None)
    weaker: Objective = (
        objective if ascent is None else replace(objective, ascent=replace(ascent, share=share))
    )
    return weaker


def cross_entropy_of(y: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """The sum over the batch, which is what an ascent takes: each sample's gradient is then its own. Of
    logits (N, exits, classes) the mean over exits."""

    def total(logits: torch.Tensor) -> torch.Tensor:
        if logits.ndim == 2:
            return functional.cross_entropy(logits, y, reduction="sum")
        exits = logits.shape[1]
        flat = logits.flatten(0, 1)
        return functional.cross_entropy(flat, y.repeat_interleave(exits), reduction="sum") / exits

    return total


@dataclass(frozen=True)
class Adversarial:
    """Cross-entropy on adversarial examples (Madry et al. 2018, arXiv 1706.06083), every sample of the batch;
    `clean` of the loss on the clean ones. `fast`, `pgd-at` and `int8-at` differ in the ascent alone."""

    ascent: Ascent
    clean: float = 0.0

    def loss(
        self, network: TrainableNetwork, x: torch.Tensor, y: torch.Tensor, draws: StepDraws
    ) -> torch.Tensor:
        moved = self.ascent.run(network.attacked(), network.space, x, cross_entropy_of(y), draws)
        loss = functional.cross_entropy(network.logits(moved), y)
        if not self.clean:
            return loss
        return (1 - self.clean) * loss + self.clean * functional.cross_entropy(network.logits(x), y)


@dataclass(frozen=True)
class Trades:
    """Zhang et al. 2019 (arXiv 1901.08573): cross-entropy on clean inputs and `beta` times the KL divergence
    from their probabilities to those of the inputs near them where it is largest."""

    ascent: Ascent
    beta: float

    def loss(
        self, network: TrainableNetwork, x: torch.Tensor, y: torch.Tensor, draws: StepDraws
    ) -> torch.Tensor:
        attacked = network.attacked()
        with torch.no_grad():
            clean = attacked(x).softmax(1)

        def divergence(logits: torch.Tensor) -> torch.Tensor:
            return functional.kl_div(logits.log_softmax(1), clean, reduction="sum")

        moved = self.ascent.run(attacked, network.space, x, divergence, draws)
        logits = network.logits(x)
        near = functional.kl_div(
            network.logits(moved).log_softmax(1), logits.softmax(1), reduction="batchmean"
        )
        return functional.cross_entropy(logits, y) + self.beta * near


@dataclass(frozen=True)
class Sinkhorn:
    """Sinkhorn adversarial training (Bouniot et al. 2021, "Optimal transport as a defense against adversarial
    attacks"): cross-entropy on adversarial examples and the Sinkhorn divergence between the batch's clean and
    adversarial logits. Both terms weigh the same, as Costa & Pinto 2024 have it."""

    ascent: Ascent
    entropy: float
    iterations: int

    def loss(
        self, network: TrainableNetwork, x: torch.Tensor, y: torch.Tensor, draws: StepDraws
    ) -> torch.Tensor:
        moved = self.ascent.run(network.attacked(), network.space, x, cross_entropy_of(y), draws)
        clean, logits = network.logits(x), network.logits(moved)
        apart = sinkhorn_divergence(clean, logits, self.entropy, self.iterations)
        return functional.cross_entropy(logits, y) + apart


@dataclass(frozen=True)
class Distillation:
    """Defensive distillation (Papernot et al. 2016, arXiv 1511.04508) as Costa & Pinto 2024 have it: `alpha`
    of the loss is cross-entropy, the rest the KL divergence from the teacher's probabilities at
    `temperature`, times its square so that both gradients are alike in size (Hinton et al. 2015)."""

    teacher: Callable[[torch.Tensor], torch.Tensor]
    temperature: float
    alpha: float

    def loss(
        self, network: TrainableNetwork, x: torch.Tensor, y: torch.Tensor, draws: StepDraws
    ) -> torch.Tensor:
        del draws
        with torch.no_grad():
            wanted = (self.teacher(x) / self.temperature).softmax(1)
        logits = network.logits(x)
        soft = functional.kl_div((logits / self.temperature).log_softmax(1), wanted, reduction="batchmean")
        hard = functional.cross_entropy(logits, y)
        return self.alpha * hard + (1 - self.alpha) * self.temperature**2 * soft


@dataclass(frozen=True)
class Ensemble:
    """Ensemble adversarial training (Tramèr et al. 2018, arXiv 1705.07204): each batch's examples are made on
    one of the network itself and `others`, which stay as they are, drawn with equal chances."""

    ascent: Ascent
    others: tuple[Callable[[torch.Tensor], torch.Tensor], ...]

    def loss(
        self, network: TrainableNetwork, x: torch.Tensor, y: torch.Tensor, draws: StepDraws
    ) -> torch.Tensor:
        sources = (network.attacked(), *self.others)
        source = sources[draws.integer(len(sources), SOURCE)]
        moved = self.ascent.run(source, network.space, x, cross_entropy_of(y), draws)
        return functional.cross_entropy(network.logits(moved), y)
