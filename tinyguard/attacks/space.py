# SPDX-License-Identifier: Apache-2.0
"""Where an attacker may put an input: the pixel range, and in it the grid of what the device can receive.

Inputs are float32 tensors (N, *shape) of [0, 1] pixels (pixel / 255) in every attack, so
that budgets mean the same for every network. On a grid the iterate of an attack may lie anywhere, while
the network only ever sees `round` of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from tinyguard.data.shares import shares_of, whole_steps
from tinyguard.errors import TinyguardError
from tinyguard.graph import Tensor
from tinyguard.tflite.metadata import Normalization

GRIDS = ("codes", "pixels", "none")
_PIXELS = 255
_TOLERANCE = 1e-6  # relative, of norms and steps in float32
_BISECTIONS = 24
_UNCHANGED = 1e-6  # of the pixel range: float32 noise of the same grid point reached on two ways


@dataclass(frozen=True, eq=False)
class Space:
    """The box `low` to `high` in [0, 1] pixels, float32 (channels,) or (1,), and in it the grid.

    `grid_step` and `grid_offset`, float32 of the same shape, give the grid points
    offset + step * whole number; `grid_step` is None where every real value may be chosen. `code_step`
    and `code_offset` map pixels to the network's codes, `dtype` is theirs.
    """

    shape: tuple[int, ...]
    low: torch.Tensor
    high: torch.Tensor
    grid_step: torch.Tensor | None
    grid_offset: torch.Tensor
    code_step: torch.Tensor
    code_offset: torch.Tensor
    code_low: torch.Tensor
    code_high: torch.Tensor
    dtype: str

    @property
    def on_grid(self) -> bool:
        return self.grid_step is not None

    def clip(self, x: torch.Tensor) -> torch.Tensor:
        """Into the box."""
        if self._ends is not None:
            return x.clamp(*self._ends)
        return torch.minimum(torch.maximum(x, self.low), self.high)

    @cached_property
    def _ends(self) -> tuple[float, float] | None:
        """The box where it is the same in every channel: numbers are compared with faster than tensors."""
        if bool((self.low != self.low[0]).any() or (self.high != self.high[0]).any()):
            return None
        return float(self.low[0]), float(self.high[0])

    def round(self, x: torch.Tensor) -> torch.Tensor:
        """The nearest point the device can receive: onto the grid and into the box."""
        if self.grid_step is None:
            return self.clip(x)
        steps = torch.round((self.clip(x) - self.grid_offset) / self.grid_step)
        return self.clip(self.grid_offset + steps * self.grid_step)

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """Whole codes, float32, of pixels that are on the grid; nearest where they are not."""
        codes = torch.round((x - self.code_offset) / self.code_step)
        return torch.minimum(torch.maximum(codes, self.code_low), self.code_high)

    def rounded_codes(self, x: torch.Tensor) -> torch.Tensor:
        """`codes` of `round`: one rounding where every code is a grid point."""
        step, offset = self.grid_step, self.grid_offset
        if step is None or not (torch.equal(step, self.code_step) and torch.equal(offset, self.code_offset)):
            return self.codes(self.round(x))
        return self.codes(x)

    def straight_through_codes(self, x: torch.Tensor) -> torch.Tensor:
        """`rounded_codes`, with the gradient of x / step where `x` takes one."""
        exact = self.rounded_codes(x.detach())
        if not x.requires_grad:
            return exact
        real = (x - self.code_offset) / self.code_step
        return real + (exact - real).detach()

    def code_array(self, x: torch.Tensor) -> np.ndarray:
        """The codes as the network's back ends take them, in `dtype`."""
        return self.codes(x).numpy().astype(self.dtype)

    def shares(self, codes: np.ndarray) -> torch.Tensor:
        """[0, 1] pixels, float32 (N, *shape), of codes (N, *shape)."""
        return self.code_offset + self.code_step * torch.from_numpy(codes.astype(np.float32))

    def grid_steps(self, eps: float) -> torch.Tensor:
        """Whole grid steps inside `eps`, float32 per channel: floor(eps / step)."""
        assert self.grid_step is not None
        return _float32(whole_steps(eps, self.grid_step.numpy()))

    def linf_radius(self, eps: float) -> torch.Tensor:
        """How far an element may move in each channel, of the pixel range: whole steps on a grid, else `eps`.

        Raises TinyguardError when not one step of the grid fits into `eps`.
        """
        if self.grid_step is None:
            return torch.full_like(self.low, eps)
        steps = self.grid_steps(eps)
        if steps.max() < 1:
            raise TinyguardError(
                f"eps {eps:g} is under one code of the input ({self.grid_step.min():.6g}) and no other "
                "integer input is in reach: type --setting transfer, which rounds at the end, or a larger eps"
            )
        return steps * self.grid_step

    def radius(self, norm: str, eps: float) -> torch.Tensor:
        """`linf_radius`, or the L2 radius as a tensor (1,). Raises as `linf_radius` does."""
        if norm == "linf":
            return self.linf_radius(eps)
        if self.grid_step is not None and eps < float(self.grid_step.min()) * (1 - _TOLERANCE):
            self.linf_radius(eps)
        return torch.full((1,), eps)

    def project(self, x: torch.Tensor, clean: torch.Tensor, norm: str, radius: torch.Tensor) -> torch.Tensor:
        """The nearest point of the box inside the ball around `clean` (L2: scaled back, then clipped)."""
        if norm == "linf":
            return self.clip(torch.minimum(torch.maximum(x, clean - radius), clean + radius))
        delta = x - clean
        size = l2(delta).clamp(min=1e-12).reshape(-1, *[1] * len(self.shape))
        return self.clip(clean + delta * torch.clamp(radius / size, max=1))

    def settle(self, x: torch.Tensor, clean: torch.Tensor, norm: str, radius: torch.Tensor) -> torch.Tensor:
        """The grid point for an iterate inside the ball; it lies inside the ball too.

        Linf: plain rounding, as the radius is in whole steps. L2: round(c * delta) with c bisected for
        each sample until the norm of what was rounded meets the radius: plain rounding of 5 codes of
        norm over an image leaves 1.4.
        """
        if norm == "linf" or self.grid_step is None:
            return self.round(x)
        delta = x - clean
        size, limit = l2(delta), float(radius) * (1 + _TOLERANCE)
        moves = size > 0
        low = torch.zeros_like(size)
        high = torch.where(moves, float(radius) / size.clamp(min=1e-12), torch.ones_like(size)) * 16
        best = clean.clone()
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            whole = self.round(clean + delta * middle.reshape(-1, *[1] * len(self.shape)))
            inside = l2(whole - clean) <= limit
            best[inside] = whole[inside]
            low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
        return best

    def stretch(self, x: torch.Tensor, clean: torch.Tensor, norm: str, radius: torch.Tensor) -> torch.Tensor:
        """The grid point at the edge of the ball, "linf" or "l2", on the line from `clean` through `x`."""
        delta = x - clean
        size = per_sample(distance(delta / radius, norm).clamp(min=1e-12), delta)
        return self.settle(self.project(clean + delta / size, clean, norm, radius), clean, norm, radius)


def space_of(tensor: Tensor, normalization: Normalization | None, grid: str | None = None) -> Space:
    """The space of a network's input `tensor`.

    `grid` is "codes" (every code), "pixels" (whole pixels, what a camera can show) or "none" (real
    values, for the float source); None takes codes for int8 and pixels for int16.
    """
    shares = shares_of(tensor, normalization)
    grid = grid or ("codes" if tensor.dtype == "int8" else "pixels")
    if grid not in GRIDS:
        raise TinyguardError(f"no grid named {grid!r}; known: {', '.join(GRIDS)}")
    if grid == "pixels" and normalization is None:
        raise TinyguardError(
            "the pixel grid needs the normalisation that `tinyguard quantize` writes into the file; "
            "type --grid codes"
        )
    step, offset = np.array(shares.step), np.array(shares.offset)
    code_low, code_high = np.array(shares.low_code), np.array(shares.high_code)
    low, high, grid_step, grid_offset = offset + step * code_low, offset + step * code_high, step, offset
    if grid == "pixels":
        # Pixels that the codes cannot tell apart or reach stay out of the grid.
        first, last = np.ceil(low * _PIXELS - 0.5), np.floor(high * _PIXELS + 0.5)
        low, high = np.clip(first, 0, 255) / _PIXELS, np.clip(last, 0, 255) / _PIXELS
        grid_step, grid_offset = np.full_like(step, 1 / _PIXELS), np.zeros_like(offset)
    elif grid == "none":
        low, high = np.zeros_like(step), np.ones_like(step)
    return Space(
        tuple(tensor.shape[1:]),
        _float32(low),
        _float32(high),
        None if grid == "none" else _float32(grid_step),
        _float32(grid_offset),
        _float32(step),
        _float32(offset),
        _float32(code_low),
        _float32(code_high),
        tensor.dtype,
    )


def continuous(shape: tuple[int, ...]) -> Space:
    """[0, 1] without a grid, for float networks that come without a quantized twin."""
    zero, one = torch.zeros(1), torch.ones(1)
    return Space(shape, zero, one, None, zero, one / _PIXELS, zero, zero, one * _PIXELS, "float32")


def l2(delta: torch.Tensor) -> torch.Tensor:
    """L2 norm of each sample, (N,)."""
    return delta.flatten(1).norm(dim=1)


def distance(delta: torch.Tensor, norm: str) -> torch.Tensor:
    """Norm "l0" (elements that changed), "l1", "l2" or "linf" of each sample, (N,)."""
    size = delta.flatten(1).abs()
    if norm == "l0":
        return (size > _UNCHANGED).sum(dim=1).to(size.dtype)
    if norm == "linf":
        return size.max(dim=1).values
    return size.norm(p={"l1": 1, "l2": 2}[norm], dim=1)


def per_sample(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Values (N,) shaped to broadcast over (N, ...)."""
    return values.reshape(-1, *[1] * (like.dim() - 1))


def _float32(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
