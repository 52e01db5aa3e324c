# SPDX-License-Identifier: Apache-2.0
"""The loops of `loops.c` on contiguous torch tensors of the CPU. Ask `serves` before anything else."""

from __future__ import annotations

import ctypes
import functools
from ctypes import c_double, c_float, c_int32, c_size_t, c_void_p
from dataclasses import dataclass

import numpy as np
import torch

from tinyguard.native.shared_library import library


def serves(*tensors: torch.Tensor) -> bool:
    """Whether the loops can run on these; with none, on any that fit."""
    plain = all(type(x) is torch.Tensor and x.device.type == "cpu" and x.is_contiguous() for x in tensors)
    return plain and library() is not None


def serves_floats(*tensors: torch.Tensor) -> bool:
    """`serves`, and all are float32: what filters and projections ask."""
    return all(x.dtype == torch.float32 for x in tensors) and serves(*tensors)


class _Rule(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("factor", "addend", "tilt", "least", "most")),
        *((name, c_double) for name in ("low", "high")),
    )


@dataclass(frozen=True, eq=False)
class Rule:
    """floor(sum * factor + addend), with `tilt` added away from 0 where it is not None, then the clamp.

    Arrays are float64, one value per channel; the code of sums from `least` to `most` lies inside the clamp.
    """

    factor: np.ndarray
    addend: np.ndarray
    tilt: np.ndarray | None
    least: np.ndarray
    most: np.ndarray
    low: int
    high: int

    @functools.cached_property
    def in_c(self) -> _Rule:
        """For the calls: it points to the arrays, which live as long."""
        arrays = self.factor, self.addend, self.tilt, self.least, self.most
        assert all(x is None or (x.dtype == np.float64 and x.flags.c_contiguous) for x in arrays)
        return _Rule(*(None if x is None else x.ctypes.data for x in arrays), self.low, self.high)


def codes(
    rule: Rule, sums: tuple[torch.Tensor, ...], outside: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """float32 codes (rows, channels) of sums in float32 (overwritten), in float64, or in float32 halves
    (lower, upper) that mean lower + 256 upper; and on request whether the clamp holds each, bool."""
    first = sums[0]
    narrow = first.dtype == torch.float32
    output = first if narrow else torch.empty_like(first, dtype=torch.float32)
    flags = torch.empty_like(first, dtype=torch.bool) if outside else None
    name = "tg_codes_halves" if len(sums) == 2 else "tg_codes_f32" if narrow else "tg_codes_f64"
    rows, channels = first.shape
    call(name, ctypes.byref(rule.in_c), *sums, output, flags, c_size_t(rows), c_size_t(channels))
    return output, flags


def code_bytes(rule: Rule, sums: torch.Tensor) -> torch.Tensor:
    """uint8 codes (rows, channels), 128 more, of sums in float32."""
    output = torch.empty_like(sums, dtype=torch.uint8)
    rows, channels = sums.shape
    in_c = ctypes.byref(rule.in_c)
    call("tg_code_bytes_f32", in_c, sums, output, None, c_size_t(rows), c_size_t(channels))
    return output


def halves(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """float32 codes 256 h + l as (l, h), |l| up to 128."""
    lower, upper = torch.empty_like(x), torch.empty_like(x)
    call("tg_halves", x, lower, upper, c_size_t(x.numel()))
    return lower, upper


def in_bytes(x: torch.Tensor) -> torch.Tensor:
    """uint8: whole codes from -128 to 127 in float32, 128 more."""
    output = torch.empty_like(x, dtype=torch.uint8)
    call("tg_bytes", x, output, c_size_t(x.numel()))
    return output


def are_bytes(x: torch.Tensor) -> bool:
    """Whether codes are carried as bytes, not in float32."""
    return x.dtype == torch.uint8


def as_bytes(x: torch.Tensor) -> torch.Tensor:
    """`in_bytes` of codes that may be bytes already."""
    plain = x.contiguous()
    return plain if are_bytes(x) else in_bytes(plain)


def as_floats(x: torch.Tensor) -> torch.Tensor:
    """float32 codes of codes that may be bytes, 128 more."""
    if not are_bytes(x):
        return x
    plain = x.contiguous()
    output = torch.empty_like(plain, dtype=torch.float32)
    call("tg_floats", plain, output, c_size_t(x.numel()))
    return output


def byte_halves(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 (l, h + 128) of whole codes 256 h + l of 16 bits in float32, l from 0 to 255."""
    lower, upper = (torch.empty_like(x, dtype=torch.uint8) for _ in range(2))
    call("tg_byte_halves", x, lower, upper, c_size_t(x.numel()))
    return lower, upper


def weighted_pair(
    a: torch.Tensor,
    b: torch.Tensor,
    factors: tuple[float, float],
    addend: float,
    clamp: tuple[int, int],
    target: torch.Tensor,
    outside: torch.Tensor | None,
) -> None:
    """Write round(clamp((a * factors[0] + addend) + b * factors[1])) in float32, and what the clamp held; or
    of codes as bytes such bytes alone."""
    numbers = (c_float(x) for x in (*factors, addend, *clamp))
    if are_bytes(a):
        call("tg_weighted_pair_bytes", a, b, target, c_size_t(a.numel()), *numbers)
    else:
        call("tg_weighted_pair", a, b, target, outside, c_size_t(a.numel()), *numbers)


class _Stages(ctypes.Structure):
    _fields_ = (
        *((f"{of}_{part}", c_double) for of in ("a", "b", "output") for part in ("factor", "tilt")),
        *((name, c_double) for name in ("sign", "least", "most", "low", "high")),
        ("upwards", c_int32),
    )


def staged_pair(
    a: torch.Tensor,
    b: torch.Tensor,
    stages: tuple[tuple[float, float], ...],
    subtract: bool,
    inside: tuple[float, float],
    clamp: tuple[int, int],
    target: torch.Tensor,
    outside: torch.Tensor | None,
) -> None:
    """Write the codes of a sum or difference that is rounded in three stages, (factor, tilt) of a, b and the
    output each, and whether its total lies out of `inside`."""
    flat = (x for stage in stages for x in stage)
    said = _Stages(*flat, -1.0 if subtract else 1.0, *inside, *clamp, int(clamp[0] >= 0))
    call("tg_staged_pair", ctypes.byref(said), a, b, target, outside, c_size_t(a.numel()))


def keep_inside(gradient: torch.Tensor, outside: torch.Tensor, leak: float) -> torch.Tensor:
    """The float32 gradient, `leak` of it where `outside` (bool)."""
    kept = torch.empty_like(gradient)
    call("tg_keep_inside", gradient, outside, kept, c_size_t(gradient.numel()), c_float(leak - 1))
    return kept


def call(name: str, *arguments: object) -> None:
    """A function of the library; tensors are passed as pointers to what they hold."""
    loaded = library()
    assert loaded is not None
    getattr(loaded, name)(*(c_void_p(x.data_ptr()) if isinstance(x, torch.Tensor) else x for x in arguments))
