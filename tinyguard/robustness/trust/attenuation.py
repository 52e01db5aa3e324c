# SPDX-License-Identifier: Apache-2.0
"""Quantization as attenuator and amplifier: what rounding to codes makes of float perturbations.

Costa & Pinto 2024 (arXiv 2404.05688): below half a code a perturbation vanishes, above it snaps to a whole
one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from tinyguard.attacks.pgd import PGD
from tinyguard.attacks.problem import Problem
from tinyguard.attacks.space import l2
from tinyguard.errors import TinyguardError
from tinyguard.robustness.attacked_network import Target
from tinyguard.robustness.budget import inside
from tinyguard.robustness.intervals import wilson
from tinyguard.robustness.scoring import score

EPS_CODES = (0.1, 0.2, 0.3, 0.4, 0.45, 0.51, 0.6, 0.8, 1.0, 1.2, 1.4, 1.51, 1.75, 2.0)
_UNMOVED = 1e-6  # of the pixel range: float32 noise


@dataclass(frozen=True)
class Attenuation:
    """Perturbations of `eps` of the pixel range, `eps_codes` codes, crafted on the float network and rounded.

    Of `samples` that both networks get right: `float_left` stay right on the float network before the
    rounding, `integer_left` on the integer one after it. `erased` and `amplified` are fractions of the
    perturbed elements that rounding undid, and that it moved further away; `erased_samples` lost every
    change, `amplified_samples` exceed eps after rounding. `l2_ratio` is the median of the L2 norm after
    by before, `linf` the largest change after.
    """

    eps: float
    eps_codes: float
    samples: int
    float_left: float
    integer_left: float
    erased: float
    amplified: float
    erased_samples: float
    amplified_samples: float
    l2_ratio: float
    linf: float

    def as_dict(self) -> dict[str, Any]:
        """For --json, with 95 % intervals of the fractions that stay right."""
        interval = {
            name: list(wilson(round(getattr(self, name) * self.samples), self.samples))
            for name in ("float_left", "integer_left")
        }
        return asdict(self) | {"ci95": interval}


def attenuation(
    target: Target,
    codes: np.ndarray,
    labels: np.ndarray,
    *,
    eps_codes: Sequence[float] = EPS_CODES,
    attack: PGD | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Attenuation, ...]:
    """Craft at every budget on the float source, round to nearest, and look at both networks.

    `codes` (N, *shape), `labels` int64 (N,); `eps_codes` are in steps of the grid, where channels differ in
    the largest. `attack` is PGD with 20 steps where none is given, its eps is replaced. Raises
    TinyguardError without a float source, and where no sample is right on both networks.
    """
    victim, space = target.float_victim, target.space
    if victim is None:
        raise TinyguardError("attenuation compares with the float network: type --source FILE")
    if space.grid_step is None:
        raise TinyguardError("attenuation needs an integer network: leave out --backend float")
    labels = np.asarray(labels, np.int64)
    clean, y = space.shares(codes), torch.from_numpy(labels)
    both = (score(target.simulator, codes, labels, graph=target.graph).decided == labels) & (
        victim.query(clean).decided == y
    ).numpy()
    rows = torch.from_numpy(np.flatnonzero(both))
    if not len(rows):
        raise TinyguardError("both networks get no sample right: give samples with their labels")
    step = float(space.grid_step.max())
    x = victim.space.round(clean[rows])
    problem = Problem(victim, x, y[rows], None, rows, seed, stop_early=False)
    compared = []
    for done, count in enumerate(eps_codes):
        progress(done, len(eps_codes))
        moved = replace(attack or PGD(), eps=count * step).run(problem).x
        compared.append(_compared(target, problem, moved, count, step))
    progress(len(eps_codes), len(eps_codes))
    return tuple(compared)


def _compared(
    target: Target, problem: Problem, moved: torch.Tensor, eps_codes: float, step: float
) -> Attenuation:
    assert target.float_victim is not None
    space, eps = target.space, eps_codes * step
    clean, y = space.round(problem.x), problem.y
    rounded = space.round(moved)
    before, after = (moved - problem.x).abs(), (rounded - clean).abs()
    perturbed = before > _UNMOVED
    count = max(1, int(perturbed.sum()))
    sizes = l2(after) / l2(before).clamp(min=1e-12)
    scores = score(target.simulator, space.code_array(rounded), y.numpy(), graph=target.graph)
    here = scores.decided == y.numpy()
    there = target.float_victim.query(moved).decided == y
    return Attenuation(
        eps=eps,
        eps_codes=eps_codes,
        samples=len(y),
        float_left=float(there.double().mean()),
        integer_left=float(here.mean()),
        erased=int((perturbed & (after <= _UNMOVED)).sum()) / count,
        amplified=int((perturbed & (after > before + _UNMOVED)).sum()) / count,
        erased_samples=float((after.flatten(1).amax(dim=1) <= _UNMOVED).double().mean()),
        amplified_samples=float((~inside(after.flatten(1).amax(dim=1).numpy(), eps)).mean()),
        l2_ratio=float(sizes.median()),
        linf=float(after.max()),
    )
