# SPDX-License-Identifier: Apache-2.0
"""The steps of `projections.c` on contiguous float32 tensors of [0, 1] pixels, (N, *shape).

Ask `loops.serves_floats` before anything else.
"""

from __future__ import annotations

import ctypes
import math
from ctypes import c_int32, c_size_t, c_void_p

import torch

from tinyguard.native.loops import call


class _Space(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("low", "high", "step", "offset")),
        ("elements", c_size_t),
    )


def project_onto_plane(
    box: tuple[torch.Tensor, torch.Tensor],
    x: torch.Tensor,
    normal: torch.Tensor,
    level: torch.Tensor,
    euclidean: bool,
) -> torch.Tensor:
    """The points between the ends of `box`, which broadcast over a sample, nearest to `x` in L2 or in Linf
    with normal . point = level (N,)."""
    ends, elements = _whole(x, *box), math.prod(x.shape[1:])
    space = _Space(*(end.data_ptr() for end in ends), None, None, elements)
    projected, scratch = torch.empty_like(x), torch.empty(2 * elements, dtype=torch.float64)
    rest = projected, scratch, c_size_t(len(x)), c_int32(euclidean)
    call("tg_project_onto_plane", ctypes.byref(space), x, normal, level, *rest)
    return projected


def reach_on_grid(
    box: tuple[torch.Tensor, torch.Tensor],
    grid: tuple[torch.Tensor, torch.Tensor],
    x: torch.Tensor,
    clean: torch.Tensor,
    normal: torch.Tensor,
    level: torch.Tensor,
    tries: tuple[int, int],
) -> torch.Tensor:
    """clean + c (x - clean), c >= 1 the smallest for which the nearest point on the `grid`, (step, offset),
    has normal . point >= level (N,), after up to so many doublings and bisections."""
    arrays, elements = _whole(x, *box, *grid), math.prod(x.shape[1:])
    space = _Space(*(array.data_ptr() for array in arrays), elements)
    reached, scratch = torch.empty_like(x), torch.empty(elements)
    rest = reached, scratch, c_size_t(len(x)), *map(c_int32, tries)
    call("tg_reach_on_grid", ctypes.byref(space), x, clean, normal, level, *rest)
    return reached


def _whole(x: torch.Tensor, *arrays: torch.Tensor) -> list[torch.Tensor]:
    """Each in the shape of one sample."""
    return [array.expand(x.shape[1:]).contiguous() for array in arrays]
