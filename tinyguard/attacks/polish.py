# SPDX-License-Identifier: Apache-2.0
"""The local search that every minimum-norm attack ends with: the same success at a smaller norm, on codes.

Rounding an attack of small real numbers either erases it or inflates it, and the optimum among whole codes
is another point than the rounded optimum among real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from tinyguard.attacks.losses import margin, objective
from tinyguard.attacks.problem import Best, Problem
from tinyguard.attacks.space import distance, l2, per_sample

NORMS = ("l0", "l1", "l2", "linf")
_PROBES = 8  # of a bisection
_DIRECTIONS = 3
_FITTINGS = 24
_REFRESH = 8  # groups pulled between two gradients
_CHANGED = 1e-6

Points = Callable[[torch.Tensor], torch.Tensor]
"""Grid points (n, *shape) at n places of a way."""


@dataclass(frozen=True, eq=False)
class Polished:
    """Points `x` (n, *shape) on the grid, their `distance` (n,) and the `queries` (n,), int64, they took."""

    x: torch.Tensor
    distance: torch.Tensor
    queries: torch.Tensor


def polish(
    problem: Problem,
    rows: torch.Tensor,
    x: torch.Tensor,
    norm: str,
    queries: int = 100,
    gradient: bool = True,
) -> Polished:
    """Reduce the `norm` of successful points `x`, (n, *shape), of the samples `rows`, int64 (n,).

    `x` may be real: then its rounding is what succeeds, and the way back to the clean input sees in which
    order its elements round away. Every sample has `queries` of its own, of which `gradient` may spend some
    on gradients; without it only `Victim.query` is asked. A point that does not succeed comes back as its
    rounding with an infinite distance after one query. Off the grid the search is the way back, and for L0
    the elements that can go.
    """
    if norm not in NORMS:
        raise ValueError(f"no norm {norm!r} to reduce; known: {', '.join(NORMS)}")
    search = _Search(problem, rows, x, norm, queries, gradient)
    everyone = torch.nonzero(search.distance.isfinite())[:, 0]
    if gradient and norm in ("l0", "l1") and (norm == "l0" or problem.space.on_grid):
        # The way back keeps the elements of the start; where it has too many, pulling first ends lower.
        _pull(search, everyone, queries // 3)
    _go_back(search, everyone, x[everyone])
    if norm == "linf" and problem.space.on_grid and gradient:
        _shrink(search, everyone)
    if norm == "l2" and problem.space.on_grid and gradient:
        _follow_gradient(search, everyone)
    if norm == "l0" or (norm != "linf" and problem.space.on_grid):
        _pull(search, everyone, queries)
    return Polished(search.x, search.distance, search.used)


def polish_best(
    problem: Problem, best: Best, rows: torch.Tensor, norm: str, queries: int, gradient: bool = True
) -> None:
    """`polish` the best points, which may be real, of the samples `rows`, which have succeeded."""
    if not len(rows):
        return
    polished = polish(problem, rows, best.x[rows], norm, queries, gradient)
    best.x[rows], best.distance[rows] = polished.x, polished.distance
    best.queries[rows] += polished.queries


class _Search:
    """The nearest success of each point so far, and what it has cost."""

    def __init__(
        self, problem: Problem, rows: torch.Tensor, x: torch.Tensor, norm: str, queries: int, gradient: bool
    ) -> None:
        self.problem, self.rows, self.norm = problem, rows, norm
        self.queries, self.gradient = queries, gradient
        self.clean = problem.x[rows]
        self.x = problem.space.round(x)
        self.used = torch.zeros(len(rows), dtype=torch.int64)
        self.distance = torch.full((len(rows),), torch.inf)
        self.attempt(torch.arange(len(rows)), self.x)

    def left(self, index: torch.Tensor, wanted: int = 1) -> torch.Tensor:
        """bool: which of the positions `index` may still ask `wanted` times."""
        return self.used[index] + wanted <= self.queries

    def nearer(self, index: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """bool: whether points of the positions `index` lie nearer than the nearest success."""
        return distance(x - self.clean[index], self.norm) < self.distance[index] * (1 - 1e-6)

    def attempt(self, index: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """bool: which points succeed; the nearest are kept."""
        if not len(index):
            return torch.zeros(0, dtype=torch.bool)
        if not self.gradient:
            return self._note(index, x, self.problem.victim.query(x).decided)
        of = objective(self.problem, self.rows[index], margin)
        return self._note(index, x, self.problem.victim.slope(x, of, backward=False).decided)

    def slope(self, index: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`attempt`, and the gradients of the margin at the points."""
        slope = self.problem.victim.slope(x, objective(self.problem, self.rows[index], margin))
        return self._note(index, x, slope.decided), slope.gradient

    def _note(self, index: torch.Tensor, x: torch.Tensor, decided: torch.Tensor) -> torch.Tensor:
        self.used[index] += 1
        fooled = self.problem.fooled(decided, self.rows[index])
        kept = fooled & self.nearer(index, x)
        chosen = index[kept]
        self.x[chosen] = x[kept]
        self.distance[chosen] = distance(x[kept] - self.clean[chosen], self.norm)
        return fooled


def _bisect(search: _Search, index: torch.Tensor, at: Points, low: torch.Tensor, high: torch.Tensor) -> None:
    """Look between `low` and `high`, (n,), for where `at` begins to succeed; only nearer points are asked."""
    for _ in range(_PROBES):
        middle = (low + high) / 2
        points = at(middle)
        nearer = search.nearer(index, points)
        asked = nearer & search.left(index)
        up = nearer.clone()
        up[asked] = ~search.attempt(index[asked], points[asked])
        low, high = torch.where(up, middle, low), torch.where(up, high, middle)


def _go_back(search: _Search, index: torch.Tensor, x: torch.Tensor) -> None:
    """Bisect the way from the clean input to `x`, whose end succeeds, by what the norm counts: smaller
    everywhere (L1, L2), clamped (Linf), fewer elements (L0)."""
    clean, space = search.clean[index], search.problem.space
    delta = x - clean
    size = delta.abs()
    top = size.flatten(1).max(dim=1).values
    ranks = _ranks(-size)
    changed = (size > _CHANGED).flatten(1).sum(dim=1)

    def at(share: torch.Tensor) -> torch.Tensor:
        if search.norm == "l0":
            return space.round(clean + delta * (ranks < per_sample(share * changed, delta)))
        if search.norm == "linf":
            limit = per_sample(share * top, delta)
            return space.round(clean + torch.minimum(torch.maximum(delta, -limit), limit))
        return space.round(clean + delta * per_sample(share, delta))

    _bisect(search, index, at, torch.zeros(len(index)), torch.ones(len(index)))


def _follow_gradient(search: _Search, index: torch.Tensor) -> None:
    """L2: where the margin is linear, the nearest success on the grid is round(c * gradient) for some c.

    (The k-th code of an element costs 2k - 1 and gains its gradient, so a threshold t between the two takes
    round(gradient / 2t) codes.) Where a round brings nothing, the next one mixes in the perturbation.
    """
    space = search.problem.space
    mixture = torch.zeros(len(search.rows))
    for _ in range(_DIRECTIONS):
        index = index[search.left(index, 2)]
        if not len(index):
            return
        before = search.distance[index].clone()
        clean, delta = search.clean[index], search.x[index] - search.clean[index]
        _, gradient = search.slope(index, search.x[index])
        direction = _unit(gradient) + per_sample(mixture[index], delta) * _unit(delta)

        def along(size: torch.Tensor, clean: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
            return space.round(clean + direction * per_sample(size, direction))

        end = _just_nearer(search, index, partial(along, clean=clean, direction=direction))
        points = along(end, clean, direction)
        worth = search.nearer(index, points)
        hits = worth.clone()
        hits[worth] = search.attempt(index[worth], points[worth])
        way = partial(along, clean=clean[hits], direction=direction[hits])
        _bisect(search, index[hits], way, end[hits] / 2, end[hits])
        stuck = search.distance[index] >= before * (1 - 1e-6)
        mixture[index] = torch.where(stuck, mixture[index] * 2 + 1, mixture[index])


def _just_nearer(search: _Search, index: torch.Tensor, at: Points) -> torch.Tensor:
    """How far `at` goes, (n,), before its points are not nearer than the nearest success."""
    low, high = torch.zeros(len(index)), 64 * search.distance[index]
    for _ in range(_FITTINGS):
        middle = (low + high) / 2
        nearer = search.nearer(index, at(middle))
        low, high = torch.where(nearer, middle, low), torch.where(nearer, high, middle)
    return low


def _shrink(search: _Search, index: torch.Tensor) -> None:
    """Linf: clamp one code lower and climb there along the signs of the gradient, as often as it succeeds."""
    space = search.problem.space
    assert space.grid_step is not None
    x = search.x.clone()
    stale = torch.ones(len(search.rows), dtype=torch.bool)
    limit = torch.zeros_like(search.distance)
    step = space.grid_step
    while len(index := index[search.left(index) & (search.distance[index] > float(step.min()) * 1.5)]):
        limit[index] = search.distance[index] - float(step.min())
        fresh = index[stale[index]]
        x[fresh] = search.x[fresh]
        clean, bound = search.clean[index], per_sample(limit[index], x)
        low, high = clean - bound, clean + bound
        points = space.round(torch.minimum(torch.maximum(x[index], low), high))
        fooled, gradient = search.slope(index, points)
        stale[index] = fooled
        move = torch.maximum(bound / 2, step) * gradient.sign()
        x[index] = torch.minimum(torch.maximum(points + move, low), high)


def _pull(search: _Search, index: torch.Tensor, until: int) -> None:
    """Move elements one code towards clean (L0: all the way), those first that cost the margin least for
    what they gain; a group that may not go is halved, an element that may not go alone stays. Ends after
    `until` queries."""
    space = search.problem.space
    kept = torch.zeros(search.x.shape, dtype=torch.bool)
    gradient = torch.zeros_like(search.x)
    group = (_changed(search, index).flatten(1).sum(dim=1) // 2).clamp(min=1)
    groups = torch.ones(len(search.rows), dtype=torch.int64)
    groups[index] = group
    turn = 0
    while len(index := index[search.used[index] < until]):
        if search.gradient and turn % _REFRESH == 0:
            _, gradient[index] = search.slope(index, search.x[index])
            index = index[search.left(index)]
        turn += 1
        movable = _changed(search, index) & ~kept[index]
        some = movable.flatten(1).any(dim=1)
        index, movable = index[some], movable[some]
        delta = search.x[index] - search.clean[index]
        size = delta.abs()
        step = (
            size if space.grid_step is None or search.norm == "l0" else torch.minimum(size, space.grid_step)
        )
        cost = gradient[index] * step * delta.sign() if search.gradient else size
        order = torch.where(movable, cost / _gain(search.norm, size, step), torch.inf)
        chosen = movable & (_ranks(order) < per_sample(groups[index], delta))
        points = space.round(search.x[index] - chosen * step * delta.sign())
        fooled = search.attempt(index, points)
        alone = groups[index] == 1
        kept[index] |= chosen & per_sample(~fooled & alone, delta)
        groups[index] = torch.where(fooled, groups[index] * 2, (groups[index] // 2).clamp(min=1))


def _gain(norm: str, size: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """What the norm loses with each element's step."""
    if norm == "l0":
        return torch.ones_like(size)
    gain = step if norm == "l1" else step * (2 * size - step)
    return gain.clamp(min=1e-12)


def _changed(search: _Search, index: torch.Tensor) -> torch.Tensor:
    return (search.x[index] - search.clean[index]).abs() > _CHANGED


def _ranks(values: torch.Tensor) -> torch.Tensor:
    """Position of each element in ascending order of its sample, equal ones in order of their index."""
    order = values.flatten(1).argsort(dim=1, stable=True)
    ranks = torch.empty_like(order)
    ranks.scatter_(1, order, torch.arange(order.shape[1]).expand_as(order))
    return ranks.reshape(values.shape)


def _unit(x: torch.Tensor) -> torch.Tensor:
    return x / per_sample(l2(x).clamp(min=1e-12), x)
