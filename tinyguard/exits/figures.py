# SPDX-License-Identifier: Apache-2.0
"""The figures of a policy on samples: who leaves where, how often that is right, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinyguard.exits.stage_costs import Costs


@dataclass(frozen=True)
class AtExit:
    """One exit. `share` of the samples left here, `accuracy` of these, None where there are none; `anytime`:
    the accuracy if every sample left here. Both None without labels. `cost` of an inference that leaves here.
    """

    share: float
    accuracy: float | None
    anytime: float | None
    cost: int


@dataclass(frozen=True)
class PolicyFigures:
    """`exits`, shallowest first; `accuracy` of what was answered, None without labels; costs in `unit`.

    `mean_cost`: the sum of share times cost. `saving`: by how much less that is than the last exit's cost, as
    a fraction of it. `mean_exit` counts from 1. `efficacy`: see `efficacy_of`.
    """

    exits: tuple[AtExit, ...]
    accuracy: float | None
    unit: str
    mean_cost: float
    saving: float
    mean_exit: float
    efficacy: float

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def figures_of(
    taken: np.ndarray, costs: Costs, right: np.ndarray | None = None, anytime: np.ndarray | None = None
) -> PolicyFigures:
    """The figures of N samples, one at least, and L exits: `taken` int64 (N,), from 0; `right` bool (N,),
    whether the answer was; `anytime` bool (N, L), whether each exit's answer would have been. Both None
    without labels."""
    left = [taken == place for place in range(len(costs.up_to))]
    shares = [float(here.mean()) for here in left]
    mean_cost = float(np.dot(shares, costs.up_to))
    exits = tuple(
        AtExit(
            share=shares[place],
            accuracy=None if right is None or not here.any() else float(right[here].mean()),
            anytime=None if anytime is None else float(anytime[:, place].mean()),
            cost=costs.up_to[place],
        )
        for place, here in enumerate(left)
    )
    return PolicyFigures(
        exits=exits,
        accuracy=None if right is None else float(right.mean()),
        unit=costs.unit,
        mean_cost=mean_cost,
        saving=1 - mean_cost / costs.up_to[-1],
        mean_exit=float(taken.mean()) + 1,
        efficacy=efficacy_of(shares, costs.shares),
    )


def efficacy_of(left: Sequence[float], costs: Sequence[float]) -> float:
    """The area under the share of samples that have left against cost, from 0 to 1: the nearer to 1, the
    earlier they leave.

    `left`: the share of the samples that leave at each exit; `costs`: of each exit, the last exit's 1. The
    curve begins at (0, 0), has a point (cost, share that has left at this exit or before) for each exit, and
    straight lines between them; it ends at (1, 1). All at a first exit of cost c gives 1 - c / 2, all at the
    last exit (1 - c) / 2, where c is the cost of the last but one.

    Source: Hong et al., ICLR 2021, arXiv 2010.02432, the area under the early-exit capability curve; lines
    and beginning as in the authors' code.
    """
    x = np.concatenate([[0.0], costs])
    y = np.concatenate([[0.0], np.cumsum(left)])
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
