# SPDX-License-Identifier: Apache-2.0
"""The attack inside the training loop: projected gradient ascent on a whole batch of [0, 1] pixels.

Every sample takes all steps, as a batch that shrinks would cost as much. The attacks of `tinyguard.attacks`
judge a network afterwards; they stop early, keep the best point and draw by sample, which training needs not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tinyguard.attacks.space import Space
from tinyguard.training.randomness import START, StepDraws

Network = Callable[[torch.Tensor], torch.Tensor]
Loss = Callable[[torch.Tensor], torch.Tensor]
"""The sum over a batch, to maximise, of its logits (N, classes)."""

_NEAR = 1e-3  # standard deviation of the start, in [0, 1] pixels, of losses that are 0 at the clean input


@dataclass(frozen=True)
class Ascent:
    """Linf ascent of `steps` steps of `step_size` in a ball of `eps`, all in [0, 1] pixels; `share` of
    radius and steps is taken.

    `start`: "uniform" in the ball (Madry et al. 2018, arXiv 1706.06083), "near" the clean input by normal
    noise of 0.001 (TRADES, arXiv 1901.08573), or "clean". Where the space has a grid, the radius of a whole
    `share` is in whole codes, the iterate is real, the network sees its rounding, and the rounding is what
    comes back.
    """

    eps: float
    step_size: float
    steps: int
    start: str = "uniform"
    share: float = 1.0

    def run(
        self, network: Network, space: Space, x: torch.Tensor, loss: Loss, draws: StepDraws
    ) -> torch.Tensor:
        """Adversarial inputs for clean ones, both float32 (N, ...) [0, 1] pixels.

        Raises TinyguardError when not one code of the grid fits into `eps`.
        """
        radius = space.linf_radius(self.eps) * self.share
        iterate = space.clip(self._started(x, radius, draws))
        for _ in range(self.steps):
            leaf = iterate.detach().requires_grad_()
            gradient = torch.autograd.grad(loss(network(leaf)), leaf)[0]
            moved = iterate + self.step_size * self.share * gradient.sign()
            iterate = space.project(moved, x, "linf", radius)
        return space.round(iterate)

    def _started(self, x: torch.Tensor, radius: torch.Tensor, draws: StepDraws) -> torch.Tensor:
        if self.start == "clean":
            return x
        generator = draws.generator(START)
        if self.start == "near":
            noise = torch.empty(x.shape).normal_(generator=generator)
            return x + torch.minimum(torch.maximum(_NEAR * noise, -radius), radius)
        return x + (torch.empty(x.shape).uniform_(generator=generator) * 2 - 1) * radius
