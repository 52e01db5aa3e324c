# SPDX-License-Identifier: Apache-2.0
"""Total-variation denoising in torch: the descent in C where there is a compiler, and its gradient."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.native import filters, loops
from tinyguard.operators.filter_total_variation import STEP_BITS, TotalVariationFilter
from tinyguard.simulator.filter import CompiledFilterLayer

_STEP = 1 / (1 << STEP_BITS)


class TotalVariationFilterLayer(CompiledFilterLayer):
    of: ClassVar = (TotalVariationFilter,)
    operator: TotalVariationFilter

    def values(self, images: torch.Tensor) -> torch.Tensor:
        operator = self.operator
        if loops.serves_floats(images):
            return filters.total_variation(images, operator.iterations, operator.width_bits)
        return super().values(images)

    def smooth(self, images: torch.Tensor) -> torch.Tensor:
        """The descent without rounding."""
        u = images
        for _ in range(self.operator.iterations):
            u, _inside = self._smooth_step(images, u)
        return u

    def _smooth_step(self, images: torch.Tensor, u: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The next u, and along each axis the differences, bool, that the clamp leaves alone."""
        strength, total, inside = self.operator.strength, images - u, []
        for axis in (1, 2):
            between = u.diff(dim=axis)
            pull, border = between.clamp(-strength, strength), u.narrow(axis, 0, 1) * 0
            inside.append(between == pull)
            total = total + _joined(pull, border, axis) - _joined(border, pull, axis)
        return u + _STEP * total, inside

    def slope(self, images: torch.Tensor, values: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
        """Step by step backwards: autograd would keep every step's tensors."""
        iterations, strength = self.operator.iterations, self.operator.strength
        if loops.serves_floats(images, upstream):
            return filters.total_variation_gradient(images, upstream, iterations, strength, _STEP)
        u, every = images, []
        for _ in range(iterations):
            u, inside = self._smooth_step(images, u)
            every.append(inside)
        gradient, total = upstream, upstream * 0
        for inside in reversed(every):
            share = _STEP * gradient
            total, gradient = total + share, gradient - share
            for axis, flags in zip((1, 2), inside, strict=True):
                passed, border = -share.diff(dim=axis) * flags, share.narrow(axis, 0, 1) * 0
                gradient = gradient + _joined(border, passed, axis) - _joined(passed, border, axis)
        return total + gradient


def _joined(first: torch.Tensor, second: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.cat([first, second], axis)
