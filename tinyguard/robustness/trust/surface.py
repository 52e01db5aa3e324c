# SPDX-License-Identifier: Apache-2.0
"""A slice of the loss around a sample: along its gradient's signs and along random signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from tinyguard.attacks.draws import Draws
from tinyguard.attacks.losses import LOSSES
from tinyguard.robustness.attacked_network import Target

_LARGEST_SIDE = 41


@dataclass(frozen=True, eq=False)
class LossSurface:
    """`loss` float32 (k, k) and `decided` int64 (k, k) at `steps` (k,) whole codes along the gradient's signs
    (rows) and along random signs (columns); `label` and `sample` say whose, `eps_codes` the budget."""

    steps: np.ndarray
    loss: np.ndarray
    decided: np.ndarray
    label: int
    sample: int
    eps_codes: float


def loss_surface(
    target: Target,
    codes: np.ndarray,
    label: int,
    *,
    sample: int = 0,
    eps: float = 8 / 255,
    loss: str = "margin",
    seed: int = 0,
) -> LossSurface:
    """The slice around `codes` (*shape), twice `eps` to every side, at most 41 points per side.

    `eps` is a fraction of the pixel range. Points are what the device can be given: whole codes inside the
    range. An element without a gradient stays where it is along the first axis. Off the grid
    steps are codes all the same.
    """
    space, victim = target.space, target.white_box()
    step = space.code_step if space.grid_step is None else space.grid_step
    eps_codes = eps / float(step.max())
    reach = max(4, round(2 * eps_codes))
    apart = -(-2 * reach // (_LARGEST_SIDE - 1))
    half = -(-reach // apart)
    steps = np.arange(-half, half + 1) * apart
    x, y = space.shares(codes[None]), torch.tensor([label])

    def objective(logits: torch.Tensor, part: slice) -> torch.Tensor:
        del part
        return LOSSES[loss](logits, y.expand(len(logits)), None, victim.logit_step)

    uphill = victim.slope(x, objective).gradient[0].sign()
    aside = Draws(seed, torch.tensor([sample])).signs(0, space.shape)[0]
    first, second = (
        torch.from_numpy(axis.ravel()).float() for axis in np.meshgrid(steps, steps, indexing="ij")
    )
    wide = (-1, *[1] * len(space.shape))
    points = space.round(x + (first.reshape(wide) * uphill + second.reshape(wide) * aside) * step)
    seen = victim.slope(points, objective, backward=False)
    shape = (len(steps), len(steps))
    return LossSurface(
        steps, seen.loss.reshape(shape).numpy(), seen.decided.reshape(shape).numpy(), label, sample, eps_codes
    )
