# SPDX-License-Identifier: Apache-2.0
"""HopSkipJump: bisect to the boundary, estimate its normal from decisions, step along it, and again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from tinyguard.attacks.decision import PROBE_BLOCK, Decisions
from tinyguard.attacks.problem import Outcome, Problem
from tinyguard.attacks.space import l2, per_sample

_PROBES = 0  # stream of the draws
_BLOCKS_A_STEP = 4096
_TOLERANCE = 0.01  # over sqrt(elements) in L2, over elements in Linf: theta of the authors' code
_FIRST_PROBE = 0.1  # length of the first step's probes, of the pixel range
_HALVINGS = 20
_PROBE_CODES = 2.0  # rms on a grid, at least
_ARRIVAL = 25  # queries that a step needs after its probes


@dataclass(frozen=True)
class HopSkipJump:
    """Chen et al. 2019 (arXiv 1904.02144), with the step sizes of the authors' code, in L2 and Linf.

    Step t asks `init_eval` * sqrt(t) probes, `max_eval` at most. `max_queries` None leaves the queries to
    `steps`. The first point is one of `init_size` random images, or of `starts` (M, *shape).
    """

    norm: str = "l2"
    steps: int = 50
    max_eval: int = 10000
    init_eval: int = 100
    init_size: int = 100
    max_queries: int | None = None
    starts: torch.Tensor | None = field(default=None, compare=False)

    name: ClassVar[str] = "hopskipjump"
    summary: ClassVar[str] = "gradient estimates at the boundary"
    access: ClassVar[str] = "decision"
    budgeted: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("l2", "linf")

    def run(self, problem: Problem) -> Outcome:
        decisions = Decisions(problem, self.norm, self.max_queries)
        rows = decisions.start(self.init_size, self.starts)
        far = decisions.best.x[rows]
        for step in range(self.steps):
            stay = decisions.left(rows) > 0
            rows, far = rows[stay], far[stay]
            if not len(rows):
                break
            x, size = decisions.to_boundary(rows, far, self._tolerance(problem))
            normal = self._normal(decisions, rows, x, size, step)
            far = self._jump(decisions, rows, x, normal, size / math.sqrt(step + 1))
        stay = decisions.left(rows) > 0
        if stay.any():
            decisions.to_boundary(rows[stay], far[stay], self._tolerance(problem))
        return decisions.outcome()

    def _tolerance(self, problem: Problem) -> float:
        """The fraction of the way to which the bisection goes."""
        elements = math.prod(problem.space.shape)
        return _TOLERANCE / (elements if self.norm == "linf" else math.sqrt(elements))

    def _normal(
        self, decisions: Decisions, rows: torch.Tensor, x: torch.Tensor, size: torch.Tensor, step: int
    ) -> torch.Tensor:
        """Direction (n, *shape) away from clean: unit length in L2, signs in Linf."""
        shape = decisions.problem.space.shape
        wanted = min(int(self.init_eval * math.sqrt(step + 1)), self.max_eval)
        counts = torch.minimum(torch.tensor(wanted), (decisions.left(rows) - _ARRIVAL).clamp(min=0))
        length = torch.full_like(size, _FIRST_PROBE) if step == 0 else _TOLERANCE * size
        draws = decisions.problem.draws

        def noise(some: torch.Tensor, block: int) -> torch.Tensor:
            return draws.select(some).normal(step * _BLOCKS_A_STEP + block, (PROBE_BLOCK, *shape), _PROBES)

        normal = decisions.normal(rows, x, counts, decisions.probe_length(length, _PROBE_CODES), noise)
        if self.norm == "linf":
            return normal.sign()
        return normal / per_sample(l2(normal).clamp(min=1e-12), normal)

    def _jump(
        self,
        decisions: Decisions,
        rows: torch.Tensor,
        x: torch.Tensor,
        direction: torch.Tensor,
        length: torch.Tensor,
    ) -> torch.Tensor:
        """The first point that fools at `length`, half of it, and so on; `x` where none does."""
        space, landed = decisions.problem.space, x.clone()
        active, length = torch.arange(len(rows)), length.clone()
        for _ in range(_HALVINGS):
            active = active[decisions.left(rows[active]) > 0]
            if not len(active):
                break
            points = space.round(x[active] + per_sample(length[active], x) * direction[active])
            fooled, _ = decisions.ask_one(rows[active], points, x[active])
            landed[active[fooled]] = points[fooled]
            active = active[~fooled]
            length[active] /= 2
        return landed
