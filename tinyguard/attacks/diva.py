# SPDX-License-Identifier: Apache-2.0
"""DIVA: fool the integer network while the float network that validates it stays right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from tinyguard.attacks.losses import LOSSES, Loss, find_loss, objective
from tinyguard.attacks.pgd import PGD
from tinyguard.attacks.problem import Best, Outcome, Problem
from tinyguard.attacks.victim import Victim
from tinyguard.attacks.view import Look, View
from tinyguard.errors import TinyguardError


@dataclass(frozen=True)
class DIVA:
    """Hao et al. 2022, "A tale of two models" (arXiv 2204.10933), by projected gradient descent.

    Climbs the victim's loss minus `c` times that of the network in `problem.others`, and succeeds where the
    victim is fooled and the other network still answers with the label. `loss` "probability" is the
    paper's, that of the label; the names of LOSSES may be asked for too, but differences of margins have no
    ceiling and may rise without fooling anyone. The other parameters are PGD's.
    """

    eps: float = 8 / 255
    norm: str = "linf"
    steps: int = 20
    restarts: int = 1
    step_size: float | None = None
    c: float = 1.0
    loss: str = "probability"
    momentum: float = 0.5
    random_start: bool = True

    name: ClassVar[str] = "diva"
    summary: ClassVar[str] = "fool this integer network and not the float source"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")
    hides_from_source: ClassVar[bool] = True

    def run(self, problem: Problem) -> Outcome:
        if len(problem.others) != 1:
            raise TinyguardError(
                f"diva needs one network beside the attacked one and got {len(problem.others)}: "
                "type --source with the float network"
            )
        ascent = PGD(
            self.eps,
            self.norm,
            self.steps,
            self.restarts,
            self.step_size,
            momentum=self.momentum,
            random_start=self.random_start,
        )
        best = Best(problem)
        ascent.climb(problem, best, self._look(problem, problem.others[0]))
        return best.outcome()

    def _look(self, problem: Problem, other: Victim) -> Look:
        targeted = problem.targets is not None
        loss, other_loss = self._find_loss(problem.victim, targeted), self._find_loss(other, False)
        beside = replace(problem, victim=other, targets=None)

        def look(x: torch.Tensor, rows: torch.Tensor, backward: bool) -> View:
            fooling = problem.victim.slope(x, objective(problem, rows, loss), backward)
            hiding = other.slope(x, objective(beside, rows, other_loss), backward)
            hidden = ~beside.fooled(hiding.decided, rows)
            return View(
                fooling.gradient - self.c * hiding.gradient,
                fooling.loss - self.c * hiding.loss,
                problem.fooled(fooling.decided, rows) & hidden,
                passes=2,
            )

        return look

    def _find_loss(self, victim: Victim, targeted: bool) -> Loss:
        if self.loss == "probability":
            return probability
        if self.loss not in LOSSES:
            raise TinyguardError(f"no loss named {self.loss!r}; known: probability, {', '.join(LOSSES)}")
        return find_loss(self.loss, victim, targeted)


def probability(
    logits: torch.Tensor, y: torch.Tensor, targets: torch.Tensor | None, step: float
) -> torch.Tensor:
    """The negative softmax probability of the label, or that of the target."""
    del step
    chosen = logits.softmax(dim=1).gather(1, (y if targets is None else targets)[:, None])[:, 0]
    return -chosen if targets is None else chosen
