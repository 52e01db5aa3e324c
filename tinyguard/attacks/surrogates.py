# SPDX-License-Identifier: Apache-2.0
"""Several networks as one victim, to craft what transfers to a network that is not among them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tinyguard.attacks.space import Space
from tinyguard.attacks.victim import Answer, Objective, Slope, Victim, slope_in_batches
from tinyguard.errors import TinyguardError

AVERAGES = ("logits", "losses")


class EnsembleVictim:
    """The mean of several networks' logits or losses (Liu et al. 2017, arXiv 1611.02770; Dong et al. 2018).

    `members` take the same pixels and classes; each integer one rounds them to a grid of its own. `space` is
    where the attack moves, the first member's where none is given: put the float source first and the
    attack has no grid, so that the result is rounded once, at the end. Raises TinyguardError where the
    members do not go together.
    """

    def __init__(
        self,
        members: Sequence[Victim],
        space: Space | None = None,
        average: str = "logits",
        batch_size: int = 128,
    ) -> None:
        if not members:
            raise TinyguardError("an ensemble of surrogates needs at least one network")
        if average not in AVERAGES:
            raise TinyguardError(f"no average named {average!r}; known: {', '.join(AVERAGES)}")
        self.members = tuple(members)
        self.space = space or members[0].space
        self.classes = members[0].classes
        self.average, self.batch_size = average, batch_size
        for member in self.members:
            if member.space.shape != self.space.shape or member.classes != self.classes:
                raise TinyguardError(
                    f"surrogates take inputs {_shape(self.space.shape)} in {self.classes} classes and "
                    f"{_shape(member.space.shape)} in {member.classes}: give files of the same task"
                )

    @property
    def logit_step(self) -> float:
        """The mean of the members': half of it keeps quotients of tied logits finite."""
        return sum(member.logit_step for member in self.members) / len(self.members)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([member.logits(x) for member in self.members]).mean(dim=0)

    def query(self, x: torch.Tensor) -> Answer:
        with torch.no_grad():
            logits = torch.cat([self.logits(part) for part in x.split(self.batch_size)])
        return Answer(logits, logits.argmax(dim=1))

    def slope(self, x: torch.Tensor, objective: Objective, backward: bool = True) -> Slope:
        if self.average == "logits":
            return slope_in_batches(x, objective, self._network, self.batch_size, backward)
        slopes = [member.slope(x, objective, backward) for member in self.members]
        logits = torch.stack([slope.logits for slope in slopes]).mean(dim=0)
        return Slope(
            torch.stack([slope.gradient for slope in slopes]).mean(dim=0),
            torch.stack([slope.loss for slope in slopes]).mean(dim=0),
            logits,
            logits.argmax(dim=1),
        )

    def _network(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.logits(x)
        return logits, logits.detach().argmax(dim=1)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
