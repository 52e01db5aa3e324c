# SPDX-License-Identifier: Apache-2.0
"""GeoDA: the boundary as a plane, its normal estimated from decisions in a subspace of low frequencies."""

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
_ARRIVAL = 25  # queries set aside per step to find the boundary along the normal (Rahmati et al.)
_FEWEST, _MOST = 50, 80  # probes of the first step
_EXPANSIONS = 20
_PROBE_CODES = 4.0  # rms on a grid, at least
_EXPANSION = 1.5


@dataclass(frozen=True)
class GeoDA:
    """Rahmati et al. 2020 (arXiv 2003.06468), in L2 and Linf.

    Probes are normal with standard deviation `sigma`, a fraction of the pixel range, in the span of the
    `sub_dim` x `sub_dim` lowest frequencies of the cosine transform of each channel; inputs that are not
    images, or are smaller than that, use all directions. `ratio` is the paper's lambda: step t gets probes
    in proportion to ratio^(-2t/3). `bin_search_tol` is a fraction of the pixel range; on a grid the search
    ends at neighbouring codes.
    `starts`: images (M, *shape) to begin from.
    """

    norm: str = "l2"
    sub_dim: int = 75
    max_queries: int = 4000
    bin_search_tol: float = 1e-4
    ratio: float = 0.6
    sigma: float = 2e-4
    init_size: int = 100
    starts: torch.Tensor | None = field(default=None, compare=False)

    name: ClassVar[str] = "geoda"
    summary: ClassVar[str] = "the boundary's normal from random probes"
    access: ClassVar[str] = "decision"
    budgeted: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("l2", "linf")

    def run(self, problem: Problem) -> Outcome:
        decisions = Decisions(problem, self.norm, self.max_queries)
        rows = decisions.start(self.init_size, self.starts)
        x, _ = decisions.to_boundary(rows, decisions.best.x[rows], 1e-3)
        total = torch.zeros_like(x)
        plan = probes_of_steps(int(decisions.limit[0]) if len(problem) else 1, self.ratio)
        for step in range(len(plan)):
            stay = decisions.left(rows) > _ARRIVAL
            rows, x, total = rows[stay], x[stay], total[stay]
            if not len(rows):
                break
            # Queries that a step saved go to the steps that remain.
            rest = decisions.left(rows) - _ARRIVAL * (len(plan) - step)
            counts = (rest * plan[step] // sum(plan[step:])).clamp(min=1)
            total = total + self._normal(decisions, rows, x, counts, step)
            x = self._along(decisions, rows, x, total)
        return decisions.outcome()

    def _normal(
        self, decisions: Decisions, rows: torch.Tensor, x: torch.Tensor, counts: torch.Tensor, step: int
    ) -> torch.Tensor:
        """The normal of one step's probes, weighted by their number."""
        shape, draws = decisions.problem.space.shape, decisions.problem.draws
        basis = [cosines(size, self.sub_dim) for size in shape[:2]] if len(shape) == 3 else None

        def noise(some: torch.Tensor, block: int) -> torch.Tensor:
            number = step * _BLOCKS_A_STEP + block
            if basis is None:
                return draws.select(some).normal(number, (PROBE_BLOCK, *shape), _PROBES)
            modes = (PROBE_BLOCK, basis[0].shape[1], basis[1].shape[1], shape[2])
            return spread(draws.select(some).normal(number, modes, _PROBES), *basis)

        length = torch.full((len(rows),), self.sigma * math.sqrt(math.prod(shape)))
        length = decisions.probe_length(length, _PROBE_CODES)
        normal = decisions.normal(rows, x, counts, length, noise)
        return normal / per_sample(length * math.sqrt(math.prod(shape)), normal)

    def _along(
        self, decisions: Decisions, rows: torch.Tensor, x: torch.Tensor, normal: torch.Tensor
    ) -> torch.Tensor:
        """The boundary on the ray from clean along `normal` (its signs in Linf); `x` where none is found."""
        problem = decisions.problem
        clean, found = problem.x[rows], x.clone()
        direction = normal.sign() if self.norm == "linf" else normal
        direction = direction / per_sample(l2(direction).clamp(min=1e-12), direction)
        reach = l2(x - clean)
        active = torch.arange(len(rows))

        def line(at: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
            return clean[at] + per_sample(share * reach[at], clean) * direction[at]

        hit = torch.zeros(len(rows), dtype=torch.bool)
        for _ in range(_EXPANSIONS):
            active = active[decisions.left(rows[active]) > 0]
            if not len(active):
                break
            points = problem.space.round(line(active, torch.ones(len(active))))
            fooled, _ = decisions.ask_one(rows[active], points, x[active])
            found[active[fooled]], hit[active[fooled]] = points[fooled], True
            active = active[~fooled]
            reach[active] *= _EXPANSION
        at = hit.nonzero()[:, 0]
        if len(at):
            tolerance = decisions.share_of_way(torch.full_like(reach[at], self.bin_search_tol), reach[at])
            found[at] = decisions.bisect(
                rows[at], lambda part, share: line(at[part], share), torch.ones(len(at)), tolerance
            )[0]
        return found


def probes_of_steps(queries: int, ratio: float) -> list[int]:
    """Probes of each step: growing by ratio^(-2/3), 50 to 80 in the first (Rahmati et al., equation 19)."""
    steps, chosen = 1, [max(1, queries - _ARRIVAL)]
    while chosen[0] > _MOST:
        steps += 1
        weights = [ratio ** (-2 * i / 3) for i in range(steps)]
        budget = max(steps, queries - _ARRIVAL * steps)
        chosen = [max(1, round(budget * w / sum(weights))) for w in weights]
    return chosen


def cosines(size: int, modes: int) -> torch.Tensor:
    """The lowest `modes` functions of the orthonormal cosine transform (type II), float32 (size, modes)."""
    place = torch.arange(size, dtype=torch.float64)[:, None]
    mode = torch.arange(min(size, modes), dtype=torch.float64)[None, :]
    basis = torch.cos((2 * place + 1) * mode * math.pi / (2 * size)) * math.sqrt(2 / size)
    basis[:, 0] /= math.sqrt(2)
    return basis.float()


def spread(modes: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Images (n, k, H, W, C) of amplitudes (n, k, u, v, C): the inverse transform by `cosines`."""
    return torch.einsum("hu,wv,nkuvc->nkhwc", rows, columns, modes)
