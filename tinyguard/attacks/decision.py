# SPDX-License-Identifier: Apache-2.0
"""What decision attacks share: questions within a budget, first points, bisection, the boundary's normal."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional

from tinyguard.attacks.draws import LARGEST_STEP
from tinyguard.attacks.polish import polish
from tinyguard.attacks.problem import Best, Outcome, Problem
from tinyguard.attacks.space import Space, per_sample
from tinyguard.errors import TinyguardError

_ROWS_A_CALL = 4096
_BISECTIONS = 40
_ENDLESS = 1 << 62
_POLISHING, _POLISHED_SHARE = 100, 10  # queries of the last search; at most 1 / 10 of a budget
_START, _CELLS = 100, 101  # streams of the draws; the attacks use small ones
_PROBED_AT_ONCE = 1 << 19  # elements: more leave the processor's caches between one operation and the next
_GROWTH = 0.02  # of the pixel range, per try (Rahmati et al.'s search for a first point)
PROBE_BLOCK = 16
RESTARTS = 1 << 12

Noise = Callable[[torch.Tensor, int], torch.Tensor]
"""Standard normal directions (n, 16, *shape) of samples (n,), for a block of probes."""

Line = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Points (n, *shape) for positions (n,) in the rows of a bisection, at fractions (n,) of the way
from clean."""


class Decisions:
    """Asks for decisions, at most `limit` queries per sample, and keeps the nearest point that fooled.

    In L2 on a grid a tenth of the limit, at most 100, is set aside for the search that `outcome` ends with.

    A point that rounds to the clean input is known to fool nobody and one that rounds to the sample's
    current point is known to fool: neither costs a query.
    """

    def __init__(self, problem: Problem, norm: str, limit: int | None) -> None:
        self.problem, self.norm, self.best, self.budget = problem, norm, Best(problem), limit
        self.polishing = 0
        if problem.space.on_grid and norm == "l2":
            self.polishing = _POLISHING if limit is None else min(_POLISHING, limit // _POLISHED_SHARE)
        self.limit = torch.full((len(problem),), _ENDLESS if limit is None else limit - self.polishing)

    def left(self, rows: torch.Tensor) -> torch.Tensor:
        """Queries that samples `rows` may still ask, int64 (n,)."""
        return self.limit[rows] - self.best.queries[rows]

    def distance(self, rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """In fractions of the pixel range, (n,), or (n, k) for k points of each sample."""
        spread = x.dim() - self.problem.x.dim()
        clean = self.problem.x[rows].unsqueeze(1) if spread else self.problem.x[rows]
        delta = (x - clean).flatten(1 + spread)
        return delta.abs().amax(-1) if self.norm == "linf" else delta.norm(dim=-1)

    def ask(
        self,
        rows: torch.Tensor,
        x: torch.Tensor,
        wanted: torch.Tensor | None = None,
        current: torch.Tensor | None = None,
        offer: bool = True,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Which of k rounded points (n, k, *shape) of each sample fool, and which answers are known.

        Both bool (n, k). Only points in `wanted`, bool (n, k), are asked, first ones first as far as the
        budget goes; the others are unknown and count as failures. `current` (n, *shape) fools already.
        """
        known = torch.ones(x.shape[:2], dtype=torch.bool) if wanted is None else wanted
        fooled = torch.zeros_like(known)
        free = torch.zeros_like(known)
        if self.problem.space.on_grid:
            free = known & (x == self.problem.x[rows].unsqueeze(1)).flatten(2).all(2)
            if current is not None:
                same = known & (x == current.unsqueeze(1)).flatten(2).all(2)
                free, fooled = free | same, same
        paid = known & ~free
        paid &= paid.cumsum(1) <= self.left(rows)[:, None]
        where = paid.nonzero(as_tuple=True)
        if len(where[0]):
            asked, points = rows[where[0]], x[where]
            answers = [self.problem.victim.query(part).decided for part in points.split(_ROWS_A_CALL)]
            fooled[where] = self.problem.fooled(torch.cat(answers), asked)
            self.best.queries[rows] += paid.sum(1)
            if offer:
                self._offer(rows, x, fooled & paid)
        return fooled, paid | free

    def _offer(self, rows: torch.Tensor, x: torch.Tensor, fooled: torch.Tensor) -> None:
        some = fooled.any(1).nonzero()[:, 0]
        if len(some):
            rows, x = rows[some], x[some]
            nearest, position = torch.where(fooled[some], self.distance(rows, x), torch.inf).min(1)
            kept = torch.ones_like(rows, dtype=torch.bool)
            self.best.offer_nearest(rows, x[torch.arange(len(rows)), position], nearest, kept)
        if self.budget is not None:
            self.problem.on_progress(int(self.best.queries.sum()) // max(1, self.budget))

    def ask_one(
        self, rows: torch.Tensor, x: torch.Tensor, current: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`ask` for one point (n, *shape) of each sample; both answers are bool (n,)."""
        fooled, known = self.ask(rows, x.unsqueeze(1), current=current)
        return fooled[:, 0], known[:, 0]

    def start(self, tries: int, starts: torch.Tensor | None) -> torch.Tensor:
        """int64 positions of the samples that got a first point; the points are in `best.x`.

        The images of `starts` (M, *shape) are tried first, nearest ones first; then random images.
        Raises TinyguardError when a targeted attack finds none for any sample.
        """
        rows = torch.arange(len(self.problem))
        if starts is not None:
            rows = self._try_images(rows, self.problem.space.round(starts))
        self.random_points(rows, tries)
        found = self.best.success.nonzero()[:, 0]
        if self.problem.targets is not None and len(self.problem) and not len(found):
            raise TinyguardError(
                "no random image is of a target class, so a targeted decision attack has no first point: "
                "give it images of the target classes as starts, or attack without --targeted"
            )
        return found

    def random_points(
        self, rows: torch.Tensor, tries: int, restart: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The samples among `rows` that one of `tries` random images fools, (m,), and the first that does."""
        found, points = [rows[:0]], [self.problem.x[:0]]
        for step in range(tries):
            rows = rows[self.left(rows) > 0]
            if not len(rows):
                break
            x = self.problem.space.round(_random_image(self.problem, rows, step, tries, restart))
            fooled, _ = self.ask_one(rows, x)
            found.append(rows[fooled])
            points.append(x[fooled])
            rows = rows[~fooled]
        order = torch.cat(found).argsort()
        return torch.cat(found)[order], torch.cat(points)[order]

    def _try_images(self, rows: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Try given images, nearest ones first; the samples that none of them fools."""
        far = torch.stack([self.distance(rows, image.expand(len(rows), *image.shape)) for image in images], 1)
        order = far.argsort(dim=1, stable=True)
        for k in range(len(images)):
            order, rows = order[self.left(rows) > 0], rows[self.left(rows) > 0]
            if not len(rows):
                break
            stay = ~self.ask_one(rows, images[order[:, k]])[0]
            rows, order = rows[stay], order[stay]
        return rows

    def bisect(
        self, rows: torch.Tensor, line: Line, high: torch.Tensor, tolerance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The boundary on a line from clean (fraction 0) to what fools (fraction `high`, (n,)).

        Ends when the fractions that remain are within `tolerance` (n,), and on a grid once, besides, the two
        rounded ends are neighbours: no element differs by more than one code. Returns the end that fools,
        (n, *shape), and its fraction (n,).
        """
        space = self.problem.space
        active, low, high = torch.arange(len(rows)), torch.zeros_like(high), high.clone()
        inner = self.problem.x[rows]
        outer = space.round(line(active, high))
        for _ in range(_BISECTIONS):
            wide = high[active] - low[active] > tolerance[active]
            if space.grid_step is not None:
                gap = (outer[active] - inner[active]).abs() > 1.5 * space.grid_step
                wide = wide | gap.flatten(1).any(1)
            active = active[wide & (self.left(rows[active]) > 0)]
            if not len(active):
                break
            middle = (low[active] + high[active]) / 2
            x = space.round(line(active, middle))
            # What rounds to the inner end fools as little as that end does.
            same = (x == inner[active]).flatten(1).all(1) & space.on_grid
            fooled = torch.zeros_like(same)
            asked = active[~same]
            if len(asked):
                fooled[~same] = self.ask_one(rows[asked], x[~same], outer[asked])[0]
            high[active[fooled]], outer[active[fooled]] = middle[fooled], x[fooled]
            low[active[~fooled]], inner[active[~fooled]] = middle[~fooled], x[~fooled]
        return outer, high

    def to_boundary(
        self, rows: torch.Tensor, far: torch.Tensor, tolerance: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Bisect between clean and points `far` (n, *shape) that fool, to within `tolerance` of the way.

        L2 blends; Linf clips to a box around clean. Returns the points and their distances (n,).
        """
        clean = self.problem.x[rows]
        size = self.distance(rows, far)

        def line(at: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
            if self.norm == "linf":
                box = per_sample(share * size[at], clean)
                return torch.minimum(torch.maximum(far[at], clean[at] - box), clean[at] + box)
            return clean[at] + per_sample(share, clean) * (far[at] - clean[at])

        x, _ = self.bisect(rows, line, torch.ones_like(size), self.share_of_way(tolerance * size, size))
        return x, self.distance(rows, x)

    def share_of_way(self, tolerance: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        """A tolerance (n,) in fractions of the pixel range, on a grid at least a code, as a fraction of
        ways of length `size` (n,)."""
        step = self.problem.space.grid_step
        if step is not None:
            tolerance = tolerance.clamp(min=float(step.min()))
        return tolerance / size.clamp(min=1e-12)

    def outcome(self) -> Outcome:
        """The best points, after a local search on codes in L2, with the queries set aside for it."""
        rows = self.best.success.nonzero()[:, 0]
        if self.polishing and len(rows):
            found = polish(self.problem, rows, self.best.x[rows], "l2", self.polishing, gradient=False)
            self.best.offer_nearest(rows, found.x, found.distance, found.distance.isfinite())
            self.best.queries[rows] += found.queries
        return self.best.outcome()

    def probe_length(self, length: torch.Tensor, codes: float) -> torch.Tensor:
        """Lengths (n,) of probes, on a grid at least `codes` rms: shorter ones are lost in the code or so by
        which a point on the grid is off the boundary."""
        space = self.problem.space
        if space.grid_step is None:
            return length
        return length.clamp(min=codes * float(space.grid_step.min()) * math.sqrt(math.prod(space.shape)))

    def normal(
        self, rows: torch.Tensor, x: torch.Tensor, counts: torch.Tensor, size: torch.Tensor, noise: Noise
    ) -> torch.Tensor:
        """The boundary's normal at points `x` (n, *shape) that lie on it, (n, *shape), towards what fools.

        `counts` (n,) probes of length `size` (n,), in fractions of the pixel range, in the directions of
        `noise(rows, block)`, (n, 16, *shape). The mean answer is subtracted (Chen et al. 2019, equation 16),
        which a boundary point that is off by a code needs.
        """
        together = max(1, _PROBED_AT_ONCE // (PROBE_BLOCK * math.prod(x.shape[1:])))
        if len(rows) > together:
            parts = torch.arange(len(rows)).split(together)
            return torch.cat([self.normal(rows[p], x[p], counts[p], size[p], noise) for p in parts])
        space, shape = self.problem.space, x.shape[1:]
        answered, total = torch.zeros(len(rows)), torch.zeros(len(rows))
        moves, voted = torch.zeros_like(x), torch.zeros_like(x)
        for block in range((int(counts.max()) + PROBE_BLOCK - 1) // PROBE_BLOCK):
            at = (counts > block * PROBE_BLOCK).nonzero()[:, 0]
            step = probe(space, noise(rows[at], block), size[at])
            seen = space.round(x[at].unsqueeze(1) + step)
            wanted = torch.arange(PROBE_BLOCK) + block * PROBE_BLOCK < counts[at, None]
            fooled, known = self.ask(rows[at], seen, wanted, offer=False)
            vote = torch.where(known, fooled * 2.0 - 1, 0.0)
            moved = (seen - x[at].unsqueeze(1)) * known.reshape(*known.shape, *[1] * len(shape))
            answered[at] += known.sum(1)
            total[at] += vote.sum(1)
            moves[at] += moved.sum(1)
            voted[at] += (moved * vote.reshape(*vote.shape, *[1] * len(shape))).sum(1)
        mean = total / answered.clamp(min=1)
        one_sided = mean.abs() >= 1
        return torch.where(per_sample(one_sided, x), voted, voted - per_sample(mean, x) * moves)


def probe(space: Space, noise: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Perturbations (n, k, *shape) of L2 length `size` (n,) along standard normal `noise` (n, k, *shape).

    On a grid a length below one code rms becomes sparse: one code on as many elements, those of the
    largest noise, as give that length, one at least. Rounding would leave nothing of it otherwise.
    """
    flat = noise.flatten(2)
    elements = flat.shape[2]
    dense = (flat * (size[:, None] / flat.norm(dim=2).clamp(min=1e-12))[..., None]).reshape(noise.shape)
    if space.grid_step is None:
        return dense
    share = (size / (space.grid_step.min() * math.sqrt(elements))) ** 2
    limit = math.sqrt(2) * torch.erfinv((1 - share).clamp(0, 1))
    limit = torch.minimum(limit[:, None], flat.abs().amax(2))
    sparse = noise.sign() * (noise.abs() >= limit.reshape(*limit.shape, *[1] * len(space.shape)))
    return torch.where(per_sample(share < 1, noise), sparse * space.grid_step, dense)


def dither(space: Space, x: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Round up or down by chance, so that the mean of what is rounded is `x`: moves below half a code
    survive on some of the elements."""
    if space.grid_step is None:
        return space.clip(x)
    return space.round(x + (uniform - 0.5) * space.grid_step)


def restarted(step: int, restart: int) -> int:
    """The step that a walk draws for, whose steps begin again at every restart below RESTARTS."""
    return step + restart * (LARGEST_STEP // RESTARTS)


def _random_image(problem: Problem, rows: torch.Tensor, step: int, tries: int, restart: int) -> torch.Tensor:
    """Uniform images in the first half of the tries; then in turn blocks of random colour, black and
    white noise, and the clean input under growing noise."""
    space, draws, clean = problem.space, problem.draws.select(rows), problem.x[rows]
    drawn = restarted(step, restart)
    kind = 0 if 2 * step < tries else 1 + step % 3
    uniform = draws.uniform(drawn, space.shape, _START)
    if kind == 1 and len(space.shape) == 3:
        cells = 1 << (step // 3 % 4)
        colours = draws.uniform(drawn, (space.shape[2], cells, cells), _CELLS)
        uniform = functional.interpolate(colours, space.shape[:2]).permute(0, 2, 3, 1)
    elif kind == 2:
        uniform = uniform.round()
    elif kind == 3:
        return clean + _GROWTH * (step + 1) * draws.normal(drawn, space.shape, _START)
    return space.low + uniform * (space.high - space.low)
