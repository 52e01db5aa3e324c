# SPDX-License-Identifier: Apache-2.0
"""Losses that gradient attacks maximise, on real logits (N, classes), one value per sample.

`targets` None: away from the labels; otherwise towards the targets. Every loss rises as the attack
comes closer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from tinyguard.attacks.problem import Problem
from tinyguard.attacks.victim import Victim
from tinyguard.errors import TinyguardError

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None, float], torch.Tensor]


def cross_entropy(
    logits: torch.Tensor, y: torch.Tensor, targets: torch.Tensor | None, step: float
) -> torch.Tensor:
    """Cross-entropy of the labels, or the negative one of the targets."""
    del step
    if targets is not None:
        return -functional.cross_entropy(logits, targets, reduction="none")
    return functional.cross_entropy(logits, y, reduction="none")


def margin(logits: torch.Tensor, y: torch.Tensor, targets: torch.Tensor | None, step: float) -> torch.Tensor:
    """How far the wanted class lies above the largest other one (Carlini & Wagner 2017, f6)."""
    del step
    if targets is not None:
        return logits.gather(1, targets[:, None])[:, 0] - largest_other(logits, targets)
    return largest_other(logits, y) - logits.gather(1, y[:, None])[:, 0]


def dlr(logits: torch.Tensor, y: torch.Tensor, targets: torch.Tensor | None, step: float) -> torch.Tensor:
    """Difference of logits ratio (Croce & Hein 2020, equations 6 and 7; needs 3 classes, targeted 4).

    Half a logit step joins the denominator: integer logits tie, and a quotient by zero has no gradient.
    """
    ordered = logits.sort(dim=1, descending=True).values
    own = logits.gather(1, y[:, None])[:, 0]
    if targets is not None:
        wanted = logits.gather(1, targets[:, None])[:, 0]
        spread = ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2
        return -(own - wanted) / (spread + step / 2 + 1e-12)
    other = torch.where(ordered[:, 0] == own, ordered[:, 1], ordered[:, 0])
    return -(own - other) / (ordered[:, 0] - ordered[:, 2] + step / 2 + 1e-12)


LOSSES: dict[str, Loss] = {"ce": cross_entropy, "margin": margin, "dlr": dlr}


def largest_other(scores: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """The largest score but that of `classes`, (N,)."""
    own = functional.one_hot(classes, scores.shape[1]).bool()
    return scores.masked_fill(own, -torch.inf).max(dim=1).values


def find_loss(name: str, victim: Victim, targeted: bool) -> Loss:
    """A loss of LOSSES by name. Raises TinyguardError for unknown ones and for DLR with too few classes."""
    if name not in LOSSES:
        raise TinyguardError(f"no loss named {name!r}; known: {', '.join(LOSSES)}")
    needed = 4 if targeted else 3
    if name == "dlr" and victim.classes < needed:
        raise TinyguardError(
            f"the DLR loss needs {needed} classes and the network has {victim.classes}: "
            "type --attack apgd-ce or --loss ce"
        )
    return LOSSES[name]


@dataclass(frozen=True, eq=False)
class Climbed:
    """An `Objective` that is a loss of samples with labels `y` and `targets`, int64 (n,)."""

    loss: Loss
    y: torch.Tensor
    targets: torch.Tensor | None
    step: float

    def __call__(self, logits: torch.Tensor, part: slice) -> torch.Tensor:
        wanted = None if self.targets is None else self.targets[part]
        return self.loss(logits, self.y[part], wanted, self.step)


def objective(problem: Problem, rows: torch.Tensor, loss: Loss) -> Climbed:
    """`loss` for the samples `rows` of a problem, as `Victim.slope` takes it."""
    targets = None if problem.targets is None else problem.targets[rows]
    return Climbed(loss, problem.y[rows], targets, problem.victim.logit_step)


def score_margin(problem: Problem, scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """`margin` of what a score attack sees: above 0 the attack has won, ties at 0 go to the lower index."""
    targets = None if problem.targets is None else problem.targets[rows]
    return margin(scores, problem.y[rows], targets, 0.0)
