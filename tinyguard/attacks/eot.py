"""A stochastic network as an attacker sees it who does not know its masks: others every time he looks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch

from tinyguard.attacks.fresh_masks import FreshMasks
from tinyguard.attacks.space import Space
from tinyguard.attacks.victim import Answer, IntegerVictim, Objective, Slope
from tinyguard.backends.simulator import Simulator


class EOTVictim:
    """Expectation over transformation (Athalye et al. 2018, arXiv 1707.07397).

    Gradients and losses are means over `masks.attack_seeds` networks that differ in their masks; a query runs
    one. Seeds depend on how often this victim was asked before: an attack that asks once a step, for all
    samples that still run, sees the same masks in every batch.
    """

    def __init__(
        self,
        simulator: Simulator,
        space: Space,
        masks: FreshMasks,
        show: str = "output",
        batch_size: int = 128,
    ) -> None:
        self.simulator, self.space, self.masks = simulator, space, masks
        self.show, self.batch_size = show, batch_size
        own = IntegerVictim(simulator, space, None, show, batch_size)
        self.classes, self.logit_step = own.classes, own.logit_step
        self._looks, self._queries = itertools.count(), itertools.count()

    def query(self, x: torch.Tensor) -> Answer:
        return self._with_masks(self.masks.query(next(self._queries))).query(x)

    def slope(self, x: torch.Tensor, objective: Objective, backward: bool = True) -> Slope:
        """`decided` is the answer of the draw with the least loss: a sample counts as fooled only where the
        masks that are best for the network do not help it."""
        slopes = [victim.slope(x, objective, backward) for victim in self._draws()]
        losses = torch.stack([slope.loss for slope in slopes])
        decided = torch.stack([slope.decided for slope in slopes])
        least = losses.argmin(dim=0, keepdim=True)
        return Slope(
            torch.stack([slope.gradient for slope in slopes]).mean(dim=0),
            losses.mean(dim=0),
            _mean_network([slope.logits for slope in slopes]),
            decided.gather(0, least)[0],
        )

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return _mean_network([victim.logits(x) for victim in self._draws()])

    def _draws(self) -> list[IntegerVictim]:
        return [self._with_masks(seed) for seed in self.masks.slopes(next(self._looks))]

    def _with_masks(self, seed: int) -> IntegerVictim:
        return IntegerVictim(self.simulator.seeded(seed), self.space, None, self.show, self.batch_size)


def _mean_network(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """The logarithm (n, classes) of the mean of the draws' softmax."""
    logs = torch.stack([torch.log_softmax(part, 1) for part in logits])
    return torch.logsumexp(logs, 0) - math.log(len(logits))
