# SPDX-License-Identifier: Apache-2.0
"""What a gradient attack sees at a point, and ways to look: one network, or the mean of several passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from tinyguard.attacks.losses import Loss, objective
from tinyguard.attacks.problem import Problem


@dataclass(frozen=True, eq=False)
class View:
    """At points (n, *shape): the `gradient` (n, *shape) of the `loss` (n,) to climb, and `fooled` bool (n,).

    `passes`: network runs that one look costs each sample.
    """

    gradient: torch.Tensor
    loss: torch.Tensor
    fooled: torch.Tensor
    passes: int = 1


Look = Callable[[torch.Tensor, torch.Tensor, bool], View]
"""Points (n, *shape) on the grid, the samples' positions int64 (n,), whether the gradient is wanted."""


def look_at(problem: Problem, loss: Loss, towards: torch.Tensor | None = None) -> Look:
    """`loss` on the victim, towards the problem's targets where it has them.

    `towards`, int64 (N,), are classes to climb to instead; who is fooled stays the problem's question.
    """
    climbed = problem if towards is None else replace(problem, targets=towards)

    def look(x: torch.Tensor, rows: torch.Tensor, backward: bool) -> View:
        slope = problem.victim.slope(x, objective(climbed, rows, loss), backward)
        return View(slope.gradient, slope.loss, problem.fooled(slope.decided, rows))

    return look


def averaged(look: Look, passes: int) -> Look:
    """The mean of several looks at a network that draws random numbers: expectation over transformation
    (Athalye et al. 2018, arXiv 1707.07397). Fooled is who is fooled in more than half of them."""
    if passes == 1:
        return look

    def mean(x: torch.Tensor, rows: torch.Tensor, backward: bool) -> View:
        views = [look(x, rows, backward) for _ in range(passes)]
        votes = torch.stack([view.fooled for view in views]).sum(dim=0)
        return View(
            torch.stack([view.gradient for view in views]).mean(dim=0),
            torch.stack([view.loss for view in views]).mean(dim=0),
            2 * votes > passes,
            sum(view.passes for view in views),
        )

    return mean
