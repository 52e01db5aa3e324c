# SPDX-License-Identifier: Apache-2.0
"""Weighted sums in torch, exact, and their gradients: matrices, convolutions, and codes of such sums.

A map takes codes (M, ...) in float32 to accumulators (M, ..., channels), zero point and bias included,
and back from a gradient of output codes to one of input codes. It keeps its weights in the layout that
torch wants, once as they are and once times each channel's real factor for the way back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from tinyguard.native import loops
from tinyguard.native.convolution import LARGEST_SUM, PairConvolution, multiplies_pairs
from tinyguard.operators.families.accumulating import FLOAT32_EXACT
from tinyguard.simulator.convolutions import ByteConvolution, centred, has_dot_products
from tinyguard.simulator.requantization import Requantization
from tinyguard.simulator.straight_through import keep_inside


class LinearMap(Protocol):
    """Codes to accumulators, and a gradient back."""

    def sums(self, x: torch.Tensor) -> torch.Tensor:
        """Accumulators (..., channels) of codes."""

    def gradient(self, upstream: torch.Tensor) -> torch.Tensor:
        """The gradient of the codes from that of the output codes, shapes as `sums` has them."""


@dataclass(frozen=True)
class Dense:
    """x @ weights + bias: `weights` (depth, channels), `scaled` (channels, depth); `zero_point` of x."""

    weights: torch.Tensor
    scaled: torch.Tensor
    bias: torch.Tensor
    zero_point: int

    def sums(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, centred(x, self.zero_point, self.weights.dtype), self.weights)

    def gradient(self, upstream: torch.Tensor) -> torch.Tensor:
        return upstream.to(self.scaled.dtype) @ self.scaled


@dataclass(frozen=True)
class InHalves:
    """Sums of int16 codes 256 h + l, |h| and |l| up to 128: both halves' in float32, joined in float64.

    `upper` and `lower` are one map but for their bias, `of_bytes` the same two where sums of bytes, with l
    from 0 to 255, are exact too. Halves of both signs, up to 128, fit no byte.
    """

    upper: LinearMap
    lower: LinearMap
    of_bytes: tuple[ByteConvolution, ByteConvolution] | None = None

    def sums(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of both halves, lower + 256 upper."""
        if self.of_bytes is not None and len(x) and loops.serves(x):
            (upper, lower), (low, high) = self.of_bytes, loops.byte_halves(x)
            return lower.of_bytes(low, 0), upper.of_bytes(high, 128)
        if loops.serves(x):
            low, high = loops.halves(x)
        else:
            high = torch.mul(x, 1 / 256).round_()
            low = x.sub(high, alpha=256)
        return self.lower.sums(low), self.upper.sums(high)

    def gradient(self, upstream: torch.Tensor) -> torch.Tensor:
        return self.lower.gradient(upstream)


@dataclass(frozen=True)
class InPairs:
    """The convolution that `plain` is, whose codes come from sums in 32 bits, of int16 codes too, in C.

    Gradients, and sums that something else asks for, are `plain`'s.
    """

    plain: LinearMap | InHalves
    native: PairConvolution

    def sums(self, x: torch.Tensor) -> Any:
        return self.plain.sums(x)

    def gradient(self, upstream: torch.Tensor) -> torch.Tensor:
        return self.plain.gradient(upstream)


AnyMap = LinearMap | InHalves | InPairs


def in_pairs(
    plain: LinearMap | InHalves, weights: np.ndarray, bias: np.ndarray, windows: dict[str, int], largest: int
) -> AnyMap:
    """The same convolution of weights (O, KH, KW, C), in pairs where that is quicker and sums up to `largest`
    fit: on processors with AVX2, but not with the dot products of bytes."""
    if has_dot_products() or largest > LARGEST_SUM or not multiplies_pairs():
        return plain
    return InPairs(plain, PairConvolution(weights, bias, windows))


def in_halves(linear: Any, bias: np.ndarray) -> InHalves:
    """Sums with `bias` (int64) by a map of this module in float32, whose own bias is not used."""
    upper = np.rint(bias / 256)
    halves = upper, bias - 256 * upper
    tensors = [torch.from_numpy(half).to(linear.bias.device, linear.bias.dtype) for half in halves]
    if not isinstance(linear, ByteConvolution):
        return InHalves(*(replace(linear, bias=tensor) for tensor in tensors))
    upper, lower = (replace(linear.plain, bias=tensor) for tensor in tensors)
    high, low = (replace(linear, bias=tensor) for tensor in tensors)
    return InHalves(upper, lower, (high, low) if _largest_sum(linear.weights) < FLOAT32_EXACT else None)


def _largest_sum(weights: torch.Tensor) -> float:
    """The bound of sums of bytes times `weights` (O, ...), and of half a code's bias."""
    rows = weights.double().flatten(1)
    return 255 * float(torch.maximum(rows.clamp(min=0).sum(1), -rows.clamp(max=0).sum(1)).max()) + 128


def requantized(x: torch.Tensor, linear: AnyMap, rule: Requantization, leak: float = 0.0) -> torch.Tensor:
    """float32 codes (M, ..., channels) of the map's accumulators, with a straight-through gradient, `leak` of
    it outside the clamp."""
    return _Requantized.apply(x, linear, rule, leak)


def requantized_sums(
    x: torch.Tensor, linear: AnyMap, rule: Requantization, outside: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """float32 codes (M, ..., channels) without a gradient, and on request whether the clamp holds them,
    bool (rows, channels)."""
    if isinstance(linear, InPairs) and rule.in_c is not None and loops.serves(x):
        return linear.native.codes(x, rule.in_c, outside)
    sums = linear.sums(x)
    parts = sums if isinstance(sums, tuple) else (sums,)
    flat = tuple(part.reshape(-1, part.shape[-1]) for part in parts)
    codes, flags = rule.requantized(flat, outside)
    return codes.view(parts[0].shape), flags


def requantized_bytes(x: torch.Tensor, linear: Any, rule: Requantization) -> torch.Tensor:
    """uint8 codes (M, ..., channels), 128 more, of such codes, by a map in float32 and a rule in C."""
    sums = linear.sums(x if isinstance(linear, ByteConvolution) else loops.as_floats(x))
    assert rule.in_c is not None
    return loops.code_bytes(rule.in_c, sums.reshape(-1, sums.shape[-1])).view(sums.shape)


class _Requantized(torch.autograd.Function):
    """Keeps one byte per output for the way back: whether the clamp holds it."""

    @staticmethod
    def forward(  # type: ignore[override]
        context: Any, x: torch.Tensor, linear: AnyMap, rule: Requantization, leak: float
    ) -> torch.Tensor:
        codes, outside = requantized_sums(x, linear, rule, context.needs_input_grad[0])
        if outside is not None:
            context.linear, context.leak = linear, leak
            context.save_for_backward(outside)
        return codes

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:  # type: ignore[override]
        (outside,) = context.saved_tensors
        kept = keep_inside(gradient.reshape(outside.shape), outside, context.leak)
        return context.linear.gradient(kept.view(gradient.shape)).to(gradient.dtype), None, None, None
