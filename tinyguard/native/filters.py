# SPDX-License-Identifier: Apache-2.0
"""The input filters of `filters.c` on contiguous float32 tensors of codes, (N, height, width, channels).

Ask `loops.serves_floats` before anything else.
"""

from __future__ import annotations

import ctypes
import math
from ctypes import c_float, c_int32, c_size_t

import torch

from tinyguard.native.loops import call


class _Shape(ctypes.Structure):
    _fields_ = tuple((name, c_size_t) for name in ("images", "rows", "row", "channels"))


def _shape(images: torch.Tensor) -> _Shape:
    count, height, width, channels = images.shape
    return _Shape(count, height, width * channels, channels)


def total_variation(images: torch.Tensor, iterations: int, width_bits: int) -> torch.Tensor:
    """Codes after the descent in fixed point."""
    filtered = torch.empty_like(images)
    scratch = torch.empty(3, *images.shape[1:], dtype=torch.int16)
    numbers = c_int32(iterations), c_int32(width_bits)
    call("tg_total_variation", ctypes.byref(_shape(images)), images, filtered, scratch, *numbers)
    return filtered


def total_variation_gradient(
    images: torch.Tensor, upstream: torch.Tensor, iterations: int, strength: float, step: float
) -> torch.Tensor:
    """The gradient of the descent without rounding."""
    gradient, size = torch.empty_like(images), math.prod(images.shape[1:])
    scratch = torch.empty(3 * size + (2 * iterations * size + 3) // 4)
    numbers = c_int32(iterations), c_float(strength), c_float(step)
    shape = ctypes.byref(_shape(images))
    call("tg_total_variation_gradient", shape, images, upstream, gradient, scratch, *numbers)
    return gradient


def _padded(images: torch.Tensor) -> torch.Tensor:
    _, height, width, channels = images.shape
    return torch.empty((height + 3) * (width + 2) * channels, dtype=torch.int8)


def median(images: torch.Tensor) -> torch.Tensor:
    """The median of each 3x3 window."""
    medians = torch.empty_like(images)
    call("tg_median", ctypes.byref(_shape(images)), images, medians, _padded(images))
    return medians


def median_gradient(images: torch.Tensor, medians: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
    """The gradient of the median: that of the first element in each window that has its value."""
    gradient, shape = torch.empty_like(images), ctypes.byref(_shape(images))
    call("tg_median_gradient", shape, images, medians, upstream, gradient, _padded(images))
    return gradient
