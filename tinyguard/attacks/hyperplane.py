# SPDX-License-Identifier: Apache-2.0
"""Steps onto a linear approximation of the decision boundary, inside the box and on the grid."""

from __future__ import annotations

import torch

from tinyguard.attacks.space import Space, per_sample
from tinyguard.attacks.victim import Victim, jacobian
from tinyguard.native import loops
from tinyguard.native import projections as native
from tinyguard.simulator.parallel import even_parts

_DOUBLINGS = 8
_BISECTIONS = 16


def project_onto_plane(
    x: torch.Tensor, normal: torch.Tensor, level: torch.Tensor, space: Space, norm: str
) -> torch.Tensor:
    """The nearest point of the box to `x`, (n, *shape), in Linf or L2, with normal . point = level (n,).

    Exact (Croce & Hein 2020, arXiv 1907.02044, section 2.1): a multiple t of the direction moves every
    element until its wall, so normal . point rises piecewise linearly in t, ever less steeply. Newton's
    method from 0 stays below the solution and ends where no further element has met its wall: a few
    steps, where the paper sorts all walls. Where the plane does not meet the box, the corner nearest to it.
    """
    if loops.serves_floats(x, normal, level):
        return native.project_onto_plane((space.low, space.high), x, normal, level, norm == "l2")
    shape = x.shape
    walls = torch.stack([space.low.expand(shape), space.high.expand(shape)]).flatten(2).double()
    points, normals = x.flatten(1).double(), normal.flatten(1).double()
    missing = level.double() - (normals * points).sum(dim=1)
    ahead = torch.where(normals * missing.sign()[:, None] >= 0, 1.0, -1.0)
    reach = torch.where(ahead > 0, walls[1] - points, points - walls[0]).clamp(min=0)
    size = normals.abs()
    speed = torch.ones_like(size) if norm == "linf" else size
    wall = torch.where(size > 0, reach / speed.clamp(min=1e-300), torch.zeros_like(size))
    rate, furthest = size * speed, wall.amax(dim=1)
    need, multiple, running = missing.abs(), torch.zeros_like(missing), wall > 0
    while True:
        arrived = (rate * torch.minimum(wall, multiple[:, None])).sum(dim=1)
        step = (need - arrived) / (rate * running).sum(dim=1).clamp(min=1e-300)
        multiple = torch.minimum(multiple + step.clamp(min=0), furthest)
        before, running = running, wall > multiple[:, None]
        if torch.equal(before, running):
            break
    moved = points + ahead * torch.minimum(multiple[:, None] * speed, reach) * (size > 0)
    return space.clip(moved.float().reshape(shape))


def reach_on_grid(
    x: torch.Tensor, clean: torch.Tensor, normal: torch.Tensor, level: torch.Tensor, space: Space
) -> torch.Tensor:
    """Real points clean + c (x - clean), c >= 1 the smallest whose rounding has normal . point >= level.

    Rounding drops what is under half a code, so that a small step stands still or falls short; how far
    it has to be stretched is known without asking the network. Off the grid `x` itself.
    """
    if space.grid_step is None:
        return x
    if loops.serves_floats(x, clean, normal, level):
        box, grid = (space.low, space.high), (space.grid_step, space.grid_offset)
        return native.reach_on_grid(box, grid, x, clean, normal, level, (_DOUBLINGS, _BISECTIONS))
    delta = x - clean

    def short(stretch: torch.Tensor) -> torch.Tensor:
        points = space.round(clean + delta * per_sample(stretch, delta))
        return (normal * points).flatten(1).sum(dim=1, dtype=torch.float64) < level

    low, high = torch.ones(len(x)), torch.ones(len(x))
    for _ in range(_DOUBLINGS):
        still = short(high)
        if not still.any():
            break
        low, high = torch.where(still, high, low), torch.where(still, high * 2, high)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        still = short(middle)
        low, high = torch.where(still, middle, low), torch.where(still, high, middle)
    return clean + delta * per_sample(high, delta)


def class_slopes(
    victim: Victim, x: torch.Tensor, classes: torch.Tensor, batch_size: int = 128
) -> tuple[torch.Tensor, torch.Tensor]:
    """`jacobian` in batches: logits (N, classes) and the gradients (N, k, *shape) of `classes` (N, k)."""
    parts = (slice(*ends) for ends in even_parts(len(x), batch_size))
    logits, gradients = zip(*(jacobian(victim, x[part], classes[part]) for part in parts), strict=True)
    return torch.cat(logits), torch.cat(gradients)
