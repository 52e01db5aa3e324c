# SPDX-License-Identifier: Apache-2.0
"""Clean and robust accuracy of a network in training, on samples it is not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tinyguard.training.ascent import Ascent
from tinyguard.training.augmentation import Images
from tinyguard.training.objectives import cross_entropy_of
from tinyguard.training.randomness import StepDraws
from tinyguard.training.trainable_network import TrainableNetwork

STEPS = 10
_BATCH = 128
_EPOCH = 2**31  # of the draws: the same start points in every epoch, none that training has


@dataclass(frozen=True)
class Score:
    """Fractions of the samples that are right: as they are, and after PGD. Of several exits the mean."""

    clean: float
    robust: float


def validate(network: TrainableNetwork, held_out: Images, eps: float, seed: int) -> Score:
    """The network as deployed on `held_out`, attacked by PGD of STEPS steps of eps / 4 from random starts.

    A sample counts as robust when it is right before and after: to choose an epoch by, not a figure to
    report. Exits are attacked together, by their mean loss.
    """
    ascent, attacked = Ascent(eps, eps / 4, STEPS), network.attacked()
    clean = robust = 0.0
    for step, start in enumerate(range(0, len(held_out), _BATCH)):
        draws = StepDraws(seed, _EPOCH, step)
        arrays, y = held_out.batch(torch.arange(start, min(start + _BATCH, len(held_out))), draws)
        x = network.space.round(network.laid_out(arrays))
        moved = ascent.run(attacked, network.space, x, cross_entropy_of(y), draws)
        with torch.no_grad():
            right, still = (_right(attacked(inputs), y) for inputs in (x, moved))
            clean += float(right.mean(1).sum())
            robust += float((right * still).mean(1).sum())
    return Score(clean / len(held_out), robust / len(held_out))


def _right(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """1 where it is, float64 (N, exits); one exit where the logits are (N, classes)."""
    return (logits.argmax(-1).reshape(len(y), -1) == y[:, None]).double()
