# SPDX-License-Identifier: Apache-2.0
"""The iterates of the square attack and how a proposal changes them: extremes in Linf, bumps in L2."""

from __future__ import annotations

from typing import Protocol

import torch

from tinyguard.attacks.problem import Problem
from tinyguard.attacks.space import l2, per_sample
from tinyguard.attacks.windows import Plane, bumps, grating, halvings, tiles

IDLE = 2  # steps per query, allowed for proposals that change nothing and cost nothing
_START, _WINDOWS, _DITHER = 0, 1, 2  # streams of the draws
_CHUNK = 32  # steps whose words are drawn at once
_GRATINGS = tuple((*periods, sign) for periods in ((1, 0), (0, 1), (1, 1), (2, 0)) for sign in (1, -1))
_QUERIES_A_GRATING = 20
_FITS = 6
_TOLERANCE = 1e-6


class Schedule(Protocol):
    """What a walk follows of the attack's parameters, see `Square`."""

    @property
    def queries(self) -> int: ...

    @property
    def p(self) -> float: ...

    @property
    def accept_ties(self) -> bool: ...


class Walk:
    """The iterates of samples `rows`: `real` (n, *shape), and `seen`, the grid point the network gets."""

    def __init__(
        self, attack: Schedule, problem: Problem, rows: torch.Tensor, radius: torch.Tensor, restart: int
    ) -> None:
        self.attack, self.problem, self.rows, self.radius, self.restart = (
            attack,
            problem,
            rows,
            radius,
            restart,
        )
        self.plane = Plane.of(problem.space)
        self.clean = problem.x[rows]
        self.real = self.seen = self.clean
        self.began = torch.zeros(len(rows), dtype=torch.int64)
        self.flat = torch.full((len(rows),), attack.accept_ties)
        self.starts = 0 if restart else min(len(_GRATINGS), attack.queries // _QUERIES_A_GRATING)
        self._words = torch.zeros(len(rows), 0, 0, dtype=torch.int64)
        self._noise: torch.Tensor | None = None

    def start(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A point over the whole image, real and seen; another one for every number."""
        raise NotImplementedError

    def move(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The iterate with one window changed."""
        raise NotImplementedError

    def propose(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`move`, or another start: in the first steps, and where the score has not changed yet, as a
        plateau needs long steps."""
        real, seen = self.move(step)
        starting = self.flat | torch.full_like(self.flat, step < self.starts)
        if starting.any():
            again = self.start(step)
            chosen = per_sample(starting, seen)
            real, seen = torch.where(chosen, again[0], real), torch.where(chosen, again[1], seen)
        return real, seen

    def note(self, changed: torch.Tensor, step: int) -> None:
        """The scores of samples where `changed` moved in this step: their windows begin to shrink."""
        self.began[self.flat & changed] = step
        self.flat &= ~changed

    def inside(self, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Points of samples `rows` on the grid, where the norm allows it inside the budget."""
        raise NotImplementedError

    def allowed(self, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """bool: which grid points are inside the budget."""
        raise NotImplementedError

    def levels(self, step: int) -> torch.Tensor:
        """How often the windows of a step were halved, int64 (n,)."""
        return halvings(step - self.began, (self.attack.queries - self.began).clamp(min=1))

    def words(self, step: int, count: int) -> torch.Tensor:
        """int64 (n, count) in [0, 2^32) for a step."""
        if step % _CHUNK == 0 or not self._words.numel():
            chunks = 1 + self.attack.queries * IDLE // _CHUNK
            draws = self.problem.draws.select(self.rows)
            self._words = draws.words(self.restart * chunks + step // _CHUNK, (_CHUNK, count), _WINDOWS)
        return self._words[:, step % _CHUNK]

    def draw_signs(self, number: int, shape: tuple[int, ...]) -> torch.Tensor:
        step = self.restart * self.attack.queries * IDLE + number
        return self.problem.draws.select(self.rows).signs(step, shape, _START)

    def dither(self, draws: int) -> torch.Tensor:
        """-1, 0 or 1 code, the same in every step so that scores can be compared; (n, draws, *shape)."""
        space = self.problem.space
        if self._noise is None:
            chosen = self.problem.draws.select(self.rows)
            codes = chosen.integers(self.restart, 3, (draws, *space.shape), _DITHER) - 1
            step = space.code_step if space.grid_step is None else space.grid_step
            self._noise = codes * step
        return self._noise

    def accept(self, accepted: torch.Tensor, real: torch.Tensor, seen: torch.Tensor) -> None:
        if accepted.all():
            self.real, self.seen = real, seen
            return
        chosen = accepted.reshape(-1, *[1] * (seen.dim() - 1))
        same = self.real is self.seen and real is seen
        self.seen = torch.where(chosen, seen, self.seen)
        self.real = self.seen if same else torch.where(chosen, real, self.real)

    def keep(self, stay: torch.Tensor) -> None:
        self.rows, self.clean, self._words = self.rows[stay], self.clean[stay], self._words[stay]
        self.flat, self.began = self.flat[stay], self.began[stay]
        self._noise = None if self._noise is None else self._noise[stay]
        same = self.real is self.seen
        self.seen = self.seen[stay]
        self.real = self.seen if same else self.real[stay]


class Extremes(Walk):
    """Linf: every element at one end of what the budget and the box allow it, so whole codes on a grid."""

    def __init__(
        self, attack: Schedule, problem: Problem, rows: torch.Tensor, radius: torch.Tensor, restart: int
    ) -> None:
        super().__init__(attack, problem, rows, radius, restart)
        self.low = problem.space.round(self.clean - radius)
        self.high = problem.space.round(self.clean + radius)
        self.heights, self.widths = self.plane.sides(attack.p, 1)

    def start(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Gratings, then stripes: coloured and upright (the paper's), lying, or the same in all channels."""
        plane = self.plane
        if not self.restart and number < len(_GRATINGS):
            signs = grating(plane, *_GRATINGS[number])[None]
            point = plane.close(torch.where(signs > 0, plane.open(self.high), plane.open(self.low)))
            return point, point
        down, across, channels = (
            (1, plane.width, plane.channels),
            (1, plane.width, 1),
            (plane.height, 1, plane.channels),
        )[number % 3]
        signs = self.draw_signs(number, (down, across, channels))
        point = plane.close(torch.where(signs > 0, plane.open(self.high), plane.open(self.low)))
        return point, point

    def move(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        plane, levels = self.plane, self.levels(step)
        words = self.words(step, 2 + plane.channels)
        where = plane.inside(words, self.heights[levels], self.widths[levels]).mask()
        up = (words[:, 2:] >> 31).bool()[:, None, None, :]
        old, low, high = plane.open(self.seen), plane.open(self.low), plane.open(self.high)
        new = torch.where(where, torch.where(up, high, low), old)
        idle = (new == old).flatten(1).all(dim=1)
        if idle.any():
            # The colours were there already; the opposite ones are not.
            other = torch.where(up[idle], low[idle], high[idle])
            new[idle] = torch.where(where[idle], other, old[idle])
        point = plane.close(new)
        return point, point

    def inside(self, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        space = self.problem.space
        return space.round(space.project(x, self.problem.x[rows], "linf", self.radius))

    def allowed(self, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(x), dtype=torch.bool)

    def keep(self, stay: torch.Tensor) -> None:
        super().keep(stay)
        self.low, self.high = self.low[stay], self.high[stay]


class Bumps(Walk):
    """L2: the norm of one square moves into a bump at another."""

    def __init__(
        self, attack: Schedule, problem: Problem, rows: torch.Tensor, radius: torch.Tensor, restart: int
    ) -> None:
        super().__init__(attack, problem, rows, radius, restart)
        self.heights, self.widths = self.plane.sides(attack.p, 3)
        self.patterns = bumps(self.heights, self.widths)

    def start(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        plane = self.plane
        across, down, pattern = tiles(plane)
        signs = self.draw_signs(number, (down, across, plane.channels))
        height, width = pattern.shape[0] // down, pattern.shape[1] // across
        signs = signs.repeat_interleave(height, dim=1).repeat_interleave(width, dim=2)
        delta = torch.zeros(len(self.rows), plane.height, plane.width, plane.channels)
        top, left = (plane.height - pattern.shape[0]) // 2, (plane.width - pattern.shape[1]) // 2
        delta[:, top : top + pattern.shape[0], left : left + pattern.shape[1]] = pattern[..., None] * signs
        return self._settle(delta)

    def move(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        plane, levels = self.plane, self.levels(step)
        words = self.words(step, 5 + plane.channels)
        sides = self.heights[levels], self.widths[levels]
        window = plane.inside(words, *sides)
        first, second = window.mask(), plane.inside(words[:, 2:], *sides).mask()
        delta = plane.open(self.real) - plane.open(self.clean)
        squares = delta**2
        unused = (float(self.radius) ** 2 - squares.sum(dim=(1, 2, 3), keepdim=True)).clamp(min=0)
        available = (squares * (first | second)).sum(dim=(1, 2), keepdim=True) + unused / plane.channels
        old = delta * first
        old = old / (old.pow(2).sum(dim=(1, 2), keepdim=True).sqrt() + 1e-12)
        bump = window.fill(self.patterns, 2 * levels + (words[:, 4] >> 31))
        signs = ((words[:, 5:] >> 31) * 2 - 1)[:, None, None, :]
        new = old + bump[..., None] * signs
        new = new * (available / (new.pow(2).sum(dim=(1, 2), keepdim=True) + 1e-24)).sqrt()
        return self._settle(torch.where(first, new, delta * ~second))

    def _settle(self, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The real point of the whole radius in the direction `delta`, clipped, and its grid point."""
        space = self.problem.space
        size = l2(delta)[:, None, None, None].clamp(min=1e-12)
        real = space.clip(self.clean + self.plane.close(delta * (float(self.radius) / size)))
        if space.grid_step is None:
            return real, real
        return real, self._fit(real)

    def _fit(self, real: torch.Tensor) -> torch.Tensor:
        """As Space.settle, by false position: a few roundings a proposal where the bisection takes 24."""
        space, delta = self.problem.space, real - self.clean
        limit = float(self.radius) * (1 + _TOLERANCE)
        best, size = self.clean.clone(), torch.zeros(len(real))
        scale = torch.ones(len(real))
        low, high = torch.zeros_like(scale), torch.full_like(scale, torch.inf)
        for _ in range(_FITS):
            point = space.round(self.clean + delta * scale.reshape(-1, *[1] * len(space.shape)))
            norm = l2(point - self.clean)
            inside, better = norm <= limit, (norm <= limit) & (norm > size)
            best[better], size[better] = point[better], norm[better]
            low, high = torch.where(inside, scale, low), torch.where(inside, high, scale)
            guess = scale * (limit / norm.clamp(min=limit / 2))
            middle = torch.where(high.isinf(), scale * 2, (low + high) / 2)
            scale = torch.where((guess > low) & (guess < high), guess, middle)
        lost = size == 0
        if lost.any():
            best[lost] = space.settle(real[lost], self.clean[lost], "l2", self.radius)
        return best

    def inside(self, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return self.problem.space.round(x)

    def allowed(self, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return l2(x - self.problem.x[rows]) <= float(self.radius) * (1 + _TOLERANCE)
