# SPDX-License-Identifier: Apache-2.0
"""How far adversarial inputs lie from the clean ones, in fractions of the pixel range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

NORMS = ("l0", "l1", "l2", "linf")
_UNCHANGED = 1e-6  # of the pixel range: float32 noise of one point reached on two ways


@dataclass(frozen=True, eq=False)
class Distances:
    """Each sample's distance, float64 (N,). `l0` counts elements, `l0_pixels` positions of height and
    width where any channel differs; the others are in fractions of the pixel range."""

    l0: np.ndarray
    l0_pixels: np.ndarray
    l1: np.ndarray
    l2: np.ndarray
    linf: np.ndarray

    def of(self, norm: str) -> np.ndarray:
        """The distances of one of NORMS, or `l0_pixels`."""
        values: np.ndarray = getattr(self, norm)
        return values


def distances(clean: np.ndarray, adversarial: np.ndarray) -> Distances:
    """Distances between inputs of one shape (N, ..., channels), of [0, 1] pixels."""
    delta = np.abs(adversarial.astype(np.float64) - clean.astype(np.float64))
    changed = delta > _UNCHANGED
    pixels = changed.any(axis=-1) if changed.ndim > 2 else changed
    elements = math.prod(delta.shape[1:])
    flat = delta.reshape(len(delta), elements)
    return Distances(
        l0=changed.reshape(len(delta), elements).sum(axis=1).astype(np.float64),
        l0_pixels=pixels.reshape(len(delta), math.prod(pixels.shape[1:])).sum(axis=1).astype(np.float64),
        l1=flat.sum(axis=1),
        l2=np.sqrt((flat * flat).sum(axis=1)),
        linf=flat.max(axis=1, initial=0.0),
    )


def spread(values: np.ndarray) -> dict[str, float | None]:
    """`max` and `mean` of values (n,); None where there are none."""
    if not len(values):
        return {"max": None, "mean": None}
    return {"max": float(values.max()), "mean": float(values.mean())}


def median(values: np.ndarray) -> float | None:
    """The median of values (n,), None where there are none."""
    return float(np.median(values)) if len(values) else None
