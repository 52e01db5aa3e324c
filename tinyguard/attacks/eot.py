# SPDX-License-Identifier: Apache-2.0
"""A stochastic network as an attacker sees it who does not know its masks: others every time he looks."""

from __future__ import annotations

import itertools

import torch

from tinyguard.attacks.fresh_masks import FreshMasks
from tinyguard.attacks.space import Space
from tinyguard.attacks.victim import Answer, IntegerVictim, Objective, Slope, slope_in_batches
from tinyguard.graph.answer import decide
from tinyguard.simulator.logits import mean_network
from tinyguard.simulator.network import Simulator


class EOTVictim:
    """Expectation over transformation (Athalye et al. 2018, arXiv 1707.07397).

    Gradients and losses are means over `masks.attack_seeds` networks that differ in their masks; a query runs
    one. Seeds depend on how often this victim was asked before: an attack that asks once per step, for all
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
        drawn = self.simulator.seeded(self.masks.query(next(self._queries)))
        return IntegerVictim(drawn, self.space, None, self.show, self.batch_size).query(x)

    def slope(self, x: torch.Tensor, objective: Objective, backward: bool = True) -> Slope:
        """`decided` is the answer of the draw with the least loss: a sample counts as fooled only where the
        masks that are best for the network do not help it."""
        seeds = self.masks.slopes(next(self._looks))

        def network(part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            draws = self.simulator.taps_under(seeds, self.space.straight_through_codes(part))
            logits, decided = zip(
                *((z, decide(self.simulator.graph, y).decided) for y, z in draws), strict=True
            )
            return torch.stack(logits, 1), torch.stack(decided, 1)

        def losses(logits: torch.Tensor, rows: slice) -> torch.Tensor:
            return torch.stack([objective(draw, rows) for draw in logits.unbind(1)], 1)

        found = slope_in_batches(
            x, lambda logits, rows: losses(logits, rows).mean(1), network, self.batch_size, backward
        )
        least = losses(found.logits, slice(0, len(x))).argmin(dim=1, keepdim=True)
        decided = found.decided.gather(1, least)[:, 0]
        return Slope(found.gradient, found.loss, mean_network(found.logits.unbind(1)), decided)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        seeds = self.masks.slopes(next(self._looks))
        draws = self.simulator.taps_under(seeds, self.space.straight_through_codes(x))
        return mean_network([logits for _, logits in draws])
