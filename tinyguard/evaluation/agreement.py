"""How far two back ends agree on the same inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """`differing_bytes` over all outputs, `differing_predictions` in samples."""

    samples: int
    differing_bytes: int
    differing_predictions: int


def predictions(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Class of each sample, (N,) int64: the lowest index among the maxima of the first output."""
    scores = outputs[0]
    return scores.reshape(len(scores), -1).argmax(axis=1)


def agreement(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> Agreement:
    """Compare the outputs of two back ends, arrays (N, ...) of equal dtype and shape."""
    return Agreement(
        samples=len(first[0]),
        differing_bytes=sum(differing_bytes(a, b) for a, b in zip(first, second, strict=True)),
        differing_predictions=int((predictions(first) != predictions(second)).sum()),
    )


def differing_bytes(first: np.ndarray, second: np.ndarray) -> int:
    """Bytes that differ between two arrays of one dtype and shape."""
    if first.dtype != second.dtype or first.shape != second.shape:
        raise ValueError(f"{first.dtype}{first.shape} against {second.dtype}{second.shape}")
    a, b = (np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in (first, second))
    return int((a != b).sum())
