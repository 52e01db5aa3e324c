# SPDX-License-Identifier: Apache-2.0
"""Exact integers in torch with straight-through gradients.

Codes are carried in float tensors. Forward is exact; backward passes through rounding, through the
clamp where the unrounded value lies inside it (edges included), and is zero outside. A `leak` above 0
lets that fraction of it pass outside: a look past the clamp that changes no value.
"""

from __future__ import annotations

from typing import Any

import torch

from tinyguard.native import loops
from tinyguard.simulator.blocks import blocks


def clamped(real: torch.Tensor, low: float, high: float, leak: float) -> torch.Tensor:
    """`real` clamped, the gradient 1 inside (edges included) and `leak` outside. The values follow the leak
    too: they are for `replace_value`."""
    inside = torch.clamp(real, low, high)
    return inside if not leak else torch.lerp(inside, real, leak)


def keep_inside(gradient: torch.Tensor, outside: torch.Tensor, leak: float = 0.0) -> torch.Tensor:
    """The gradient (rows, channels), `leak` of it where `outside` (bool)."""
    if gradient.dtype == torch.float32 and loops.serves(gradient, outside):
        return loops.keep_inside(gradient, outside, leak)
    kept = torch.empty_like(gradient)
    for part, flags, result in blocks(gradient, outside.view(torch.int8), kept):
        torch.addcmul(part, part, flags.to(part.dtype), value=leak - 1, out=result)  # outruns torch.where
    return kept


def replace_value(differentiable: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """`value` forward, the gradient of `differentiable` backward."""
    return _ReplaceValue.apply(differentiable, value)


class _ReplaceValue(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, differentiable: torch.Tensor, value: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        del context, differentiable
        return value.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        del context
        return gradient, None


def multiply_by_quantized_multiplier(
    accumulator: torch.Tensor, value: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """Double rounding in int64. `accumulator` holds int32 values in any dtype; broadcasts; int64 result."""
    left, right = shift.clamp(min=0), (-shift).clamp(min=0)
    high = (((accumulator.to(torch.int64) << left) * value + (1 << 30)) >> 31).clamp(max=2**31 - 1)
    mask = (torch.ones_like(right) << right) - 1
    threshold = (mask >> 1) + (high < 0)
    return (high >> right) + ((high & mask) > threshold)


def multiply_by_quantized_multiplier_int64(
    accumulator: torch.Tensor, value: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """The int16x8 rule: 16-bit multiplier, one rounding. See `fixed_point`."""
    reduced = torch.where(value < 0x7FFF0000, (value + (1 << 15)) >> 16, torch.full_like(value, 0x7FFF))
    total = 15 - shift
    return (accumulator.to(torch.int64) * reduced + (torch.ones_like(total) << (total - 1))) >> total


class _Requantize(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        context: Any,
        accumulator: torch.Tensor,
        value: torch.Tensor,
        shift: torch.Tensor,
        zero_point: int,
        low: int,
        high: int,
        leak: float,
    ) -> torch.Tensor:
        scaled = multiply_by_quantized_multiplier(accumulator, value, shift)
        codes = (scaled + zero_point).clamp(low, high).to(torch.float32)
        if accumulator.requires_grad:
            real = torch.ldexp(value.to(torch.float64), shift - 31).to(torch.float32)
            unrounded = accumulator.to(torch.float32) * real + zero_point
            inside = (unrounded >= low) & (unrounded <= high)
            context.save_for_backward(inside if not leak else torch.where(inside, 1.0, leak), real)
            context.dtype = accumulator.dtype
        return codes

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        share, real = context.saved_tensors
        return (gradient * share * real).to(context.dtype), *[None] * 6


def requantize(
    accumulator: torch.Tensor,
    value: torch.Tensor,
    shift: torch.Tensor,
    zero_point: int,
    low: int,
    high: int,
    leak: float = 0.0,
) -> torch.Tensor:
    """Accumulators (exact integers in float32/float64/int) to float32 output codes, straight-through.

    `value` and `shift` are int64 tensors that broadcast (per channel: shape (C,) against a last axis
    of channels). `leak` is the fraction of the gradient that passes outside the clamp.
    """
    return _Requantize.apply(accumulator, value, shift, zero_point, low, high, leak)
