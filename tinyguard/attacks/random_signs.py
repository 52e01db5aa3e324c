# SPDX-License-Identifier: Apache-2.0
"""Blind noise of the whole budget: what an attack must beat before its gradients mean anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.problem import Best, Outcome, Problem


@dataclass(frozen=True)
class RandomSigns:
    """`draws` points of the ball's edge, drawn without a look at the network; one that fools is kept.

    Linf: every element moves by the whole radius, up or down. L2: signs, scaled to the radius.
    """

    eps: float = 8 / 255
    norm: str = "linf"
    draws: int = 10

    name: ClassVar[str] = "random-signs"
    summary: ClassVar[str] = "blind noise of the whole budget"
    access: ClassVar[str] = "decision"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def run(self, problem: Problem) -> Outcome:
        space, best = problem.space, Best(problem)
        radius = space.radius(self.norm, self.eps)
        size = radius if self.norm == "linf" else radius / problem.x[:1].numel() ** 0.5
        for draw in range(self.draws):
            rows = best.rows
            if not len(rows):
                break
            clean = problem.x[rows]
            moved = clean + problem.draws.select(rows).signs(draw, space.shape) * size
            seen = space.settle(space.project(moved, clean, self.norm, radius), clean, self.norm, radius)
            answer = problem.victim.query(seen)
            best.count(rows)
            best.offer(rows, seen, torch.zeros(len(rows)), problem.fooled(answer.decided, rows))
        return best.outcome()
