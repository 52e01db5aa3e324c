# SPDX-License-Identifier: Apache-2.0
"""Zeroth-order optimisation: Carlini and Wagner's objective, its gradient measured by queries."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import ClassVar

import torch

from tinyguard.attacks.losses import score_margin
from tinyguard.attacks.polish import polish_best
from tinyguard.attacks.problem import Best, Outcome, Problem
from tinyguard.attacks.space import l2
from tinyguard.attacks.windows import Plane

_ORDER, _SIGNS, _DIRECTIONS = 0, 1, 2  # streams of the draws
_PROBES = 4096  # points built at once
_BETAS, _TINY = (0.9, 0.999), 1e-8
_LARGEST_C = 1e9


@dataclass(frozen=True)
class ZOO:
    """Chen et al. 2017 (arXiv 1708.03999), untargeted or targeted, for the smallest L2 norm.

    Minimises c * max(-margin + confidence, 0) + |delta|^2 by Adam on `coordinates` coordinates per
    step, the slope of each from two queries, `h` (a fraction of the pixel range) to either side; on a
    grid one code, since less vanishes. c starts at `c` and is searched `searches` times, `steps` steps each.

    A coordinate is a `block` by `block` square in one channel (the paper's attack-space dimension
    reduction); None takes the smallest that leaves at most `coordinates`, so that one step measures all:
    integer outputs seldom answer to a single element. Where no probe changes the score a step goes in
    random directions. Probes that fool count as found. `polish_queries` shorten each success at the end.
    `max_queries` per sample, where it is given, ends the search before the step that would exceed it.
    """

    steps: int = 10
    searches: int = 5
    c: float = 0.01
    learning_rate: float = 0.03
    coordinates: int = 128
    h: float = 1e-4
    block: int | None = None
    confidence: float = 0.01
    polish_queries: int = 100
    max_queries: int | None = None

    name: ClassVar[str] = "zoo"
    summary: ClassVar[str] = "Carlini and Wagner's search by one-code differences"
    access: ClassVar[str] = "score"
    budgeted: ClassVar[bool] = False
    norms: ClassVar[tuple[str, ...]] = ("l2",)

    def run(self, problem: Problem) -> Outcome:
        best = Best(problem)
        blocks = Blocks.of(Plane.of(problem.space), self.block, self.coordinates)
        count = len(problem)
        c = torch.full((count,), self.c)
        low, high = torch.zeros(count), torch.full((count,), torch.inf)
        for search in range(self.searches):
            won = self._descend(problem, best, blocks, c, search)
            low, high = torch.where(won, low, c), torch.where(won, c, high)
            c = torch.where(high.isinf(), (c * 10).clamp(max=_LARGEST_C), (low + high) / 2)
            problem.on_progress(count * (search + 1) // self.searches)
        won = torch.nonzero(best.success)[:, 0]
        left = min(self.polish_queries, self._left(best))
        if left > 0:
            polish_best(problem, best, won, "l2", left, gradient=False)
        return best.outcome()

    def _descend(
        self, problem: Problem, best: Best, blocks: Blocks, c: torch.Tensor, search: int
    ) -> torch.Tensor:
        """One search of every sample; bool (N,): whether it fooled."""
        rows = torch.arange(len(problem))
        noise = torch.zeros(len(rows), blocks.count)
        mean, square, age = torch.zeros_like(noise), torch.zeros_like(noise), torch.zeros_like(noise)
        won = torch.zeros(len(rows), dtype=torch.bool)
        for step in range(self.steps):
            if self._left(best) < self.polish_queries + self._cost(problem, blocks):
                break
            number = search * self.steps + step
            chosen = blocks.choose(problem, rows, number, self.coordinates)
            slope, found = self._slope(problem, best, blocks, noise, chosen, c, number)
            won |= found
            old_mean, old_square = mean.gather(1, chosen), square.gather(1, chosen)
            new_mean = _BETAS[0] * old_mean + (1 - _BETAS[0]) * slope
            new_square = _BETAS[1] * old_square + (1 - _BETAS[1]) * slope**2
            t = age.gather(1, chosen) + 1
            mean.scatter_(1, chosen, new_mean)
            square.scatter_(1, chosen, new_square)
            age.scatter_(1, chosen, t)
            corrected = (new_square / (1 - _BETAS[1] ** t)).sqrt()
            move = self.learning_rate * new_mean / (1 - _BETAS[0] ** t) / (corrected + _TINY)
            noise = noise.scatter_add(1, chosen, -move)
            point = problem.space.round(problem.x + blocks.spread(noise))
            answer = problem.victim.query(point)
            best.count(rows)
            fooled = problem.fooled(answer.decided, rows)
            best.offer_nearest(rows, point, l2(point - problem.x), fooled)
            won |= fooled
        return won

    def _left(self, best: Best) -> int:
        """Queries that every sample still has."""
        return sys.maxsize if self.max_queries is None else self.max_queries - int(best.queries.max())

    def _cost(self, problem: Problem, blocks: Blocks) -> int:
        """Queries of one step."""
        k = min(blocks.count, self.coordinates)
        return 2 * self._directions(problem, torch.arange(1), k, 0).shape[1] + 1

    def _slope(
        self,
        problem: Problem,
        best: Best,
        blocks: Blocks,
        noise: torch.Tensor,
        chosen: torch.Tensor,
        c: torch.Tensor,
        number: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Slopes of the objective (N, k) along the `chosen` coordinates, and where a probe fooled."""
        parts = []
        size = max(1, _PROBES // (2 * chosen.shape[1]))
        for rows in torch.arange(len(problem)).split(size):
            parts.append(self._probe(problem, best, blocks, rows, noise[rows], chosen[rows], c[rows], number))
        rise, drag, found = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
        flat = (rise == 0).all(dim=1)
        signs = problem.draws.signs(number, (chosen.shape[1],), _SIGNS)
        return torch.where(flat[:, None] & ~found[:, None], signs, rise + drag), found

    def _probe(
        self,
        problem: Problem,
        best: Best,
        blocks: Blocks,
        rows: torch.Tensor,
        noise: torch.Tensor,
        chosen: torch.Tensor,
        c: torch.Tensor,
        number: int,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Slopes (n, k) of c * loss and of |delta|^2, and whether a probe fooled, for some samples."""
        space, count = problem.space, len(rows)
        clean = problem.x[rows]
        middle = space.round(clean + blocks.spread(noise))
        signs = self._directions(problem, rows, chosen.shape[1], number)
        shift = blocks.spread(
            torch.zeros(count, signs.shape[1], blocks.count).scatter(2, _like(chosen, signs), signs)
        )
        step = torch.full_like(space.low, self.h) if space.grid_step is None else space.grid_step
        probes = space.round(
            torch.stack([middle[:, None] + shift * step, middle[:, None] - shift * step], dim=2)
        )
        points = probes.flatten(0, 2)
        asked = 2 * signs.shape[1]
        every = rows.repeat_interleave(asked)
        answer = problem.victim.query(points)
        best.count(rows, asked)
        loss = (self.confidence - score_margin(problem, answer.scores, every)).clamp(min=0)
        rise = loss.reshape(count, -1, 2)
        fooled = problem.fooled(answer.decided, every).reshape(count, -1)
        far = l2(points - clean.repeat_interleave(asked, dim=0)).reshape(count, -1)
        nearest, take = torch.where(fooled, far, torch.inf).argmin(dim=1), torch.arange(count)
        point = points.reshape(count, asked, *space.shape)[take, nearest]
        best.offer_nearest(rows, point, far[take, nearest], fooled[take, nearest])
        # A pair of probes moves a coordinate by its sign times one width, narrower at the edge of the box.
        width = blocks.gather((probes[:, :, 0] - probes[:, :, 1]).abs().amax(dim=1), chosen)
        along = (signs * (rise[..., 0] - rise[..., 1])[..., None]).sum(dim=1) / (signs != 0).sum(dim=1)
        slope = torch.where(width > 0, c[:, None] * along / width.clamp(min=1e-12), torch.zeros_like(along))
        drag = 2 * blocks.gather(middle - clean, chosen) * blocks.sizes[chosen]
        return slope, drag, fooled.any(dim=1)

    def _directions(self, problem: Problem, rows: torch.Tensor, k: int, number: int) -> torch.Tensor:
        """What one unit of each of the probes' directions is in k coordinates: (n, directions, k).

        Off the grid the coordinates themselves. On it the rows of a Hadamard matrix under random signs, a
        weighing design: every probe moves every coordinate by one code, scores answer to that, and the
        means of the answers are the slopes along the coordinates again.
        """
        if problem.space.grid_step is None:
            return torch.eye(k).expand(len(rows), k, k)
        matrix = torch.ones(1, 1)
        while len(matrix) < k:
            matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
        return matrix[:, :k] * problem.draws.select(rows).signs(number, (1, k), _DIRECTIONS)


def _like(chosen: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    return chosen[:, None].expand(-1, signs.shape[1], -1)


@dataclass(frozen=True, eq=False)
class Blocks:
    """The coordinates: squares of a plane in one channel each. `owner` (height, width, channels) int64
    names each element's block, `sizes` (count,) how many elements it has."""

    plane: Plane
    owner: torch.Tensor
    sizes: torch.Tensor

    @classmethod
    def of(cls, plane: Plane, block: int | None, most: int) -> Blocks:
        """Blocks of a side, or of the smallest side of which there are at most `most`."""
        side = block or 1
        while block is None and side < max(plane.height, plane.width):
            if math.ceil(plane.height / side) * math.ceil(plane.width / side) * plane.channels <= most:
                break
            side += 1
        down, across = torch.arange(plane.height) // side, torch.arange(plane.width) // side
        place = down[:, None] * (int(across[-1]) + 1) + across[None, :]
        owner = place[..., None] * plane.channels + torch.arange(plane.channels)
        return cls(plane, owner, torch.bincount(owner.flatten()).float())

    @property
    def count(self) -> int:
        return len(self.sizes)

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """Values (..., count) of the blocks as inputs (..., *shape)."""
        return values[..., self.owner].reshape(*values.shape[:-1], *self.plane.shape)

    def gather(self, x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Means over blocks `chosen` (n, k) of inputs (n, *shape): (n, k)."""
        sums = torch.zeros(len(x), self.count).index_add(1, self.owner.flatten(), x.flatten(1))
        return (sums / self.sizes).gather(1, chosen)

    def choose(self, problem: Problem, rows: torch.Tensor, step: int, most: int) -> torch.Tensor:
        """int64 (n, k): different blocks for a step, all of them where `most` allows it."""
        if self.count <= most:
            return torch.arange(self.count).expand(len(rows), -1)
        keys = problem.draws.select(rows).words(step, (self.count,), _ORDER)
        return keys.argsort(dim=1, stable=True)[:, :most]
