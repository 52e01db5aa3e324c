# SPDX-License-Identifier: Apache-2.0
"""Feature squeezing in a .tflite file, and its threshold from clean data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph.answer import MARK, decide
from tinyguard.tflite import Metadata, read_graph, read_metadata, with_metadata
from tinyguard.tflite.record.squeezing import Squeezing

LARGEST = 510  # distance of two softmax outputs in 1/256


@dataclass(frozen=True)
class Threshold:
    """`value` in 1/256: what lies above is detected. `attained`: the fraction of clean samples that do."""

    value: int
    attained: float


def with_squeezing(model: bytes, squeezing: Squeezing | None) -> bytes:
    """The .tflite file with this feature squeezing in place of any it had; None takes it away.

    Everything else in the file is kept, and other run-times load it and ignore it. Raises TinyguardError when
    a squeezer does not fit the input, and for a network that does not end in an int8 softmax.
    """
    metadata = (read_metadata(model) or Metadata()).with_section("squeezing", squeezing)
    hardened = with_metadata(model, metadata)
    read_graph(hardened)
    return hardened


def distances(
    model: bytes, squeezing: Squeezing, codes: np.ndarray, progress: Callable[[int], None] = lambda done: None
) -> np.ndarray:
    """int32 (N,): the distance of each sample (N, *shape) in 1/256."""
    from tinyguard.backends.choose import exact_host_backend

    graph = read_graph(with_squeezing(model, squeezing))
    backend = exact_host_backend(graph)
    parts = []
    for start in range(0, len(codes), 256):
        answer = decide(graph, backend.run(codes[start : start + 256]))
        detection, *_ = answer.beside[MARK.name]  # before those that layers after the answer add
        parts.append(detection[:, 0])
        progress(min(start + 256, len(codes)))
    return np.concatenate(parts)


def threshold_for(clean: np.ndarray, false_positives: float) -> Threshold:
    """The threshold whose fraction of clean distances, int32 (N,), above it is nearest to `false_positives`.

    Distances are whole numbers and many are equal, so that not every fraction can be had. Of two that are as
    near the lower fraction is taken.
    """
    if not 0 < false_positives < 1:
        raise TinyguardError(
            f"a false positive rate of {false_positives:g} is not between 0 and 1: type --fpr 0.05"
        )
    if not len(clean):
        raise TinyguardError("no clean samples to set the threshold from: give --data")
    counts = np.bincount(clean, minlength=LARGEST + 1)
    above = 1 - np.cumsum(counts) / len(clean)
    gaps = np.abs(above - false_positives)
    value = int(len(gaps) - 1 - np.argmin(gaps[::-1]))
    return Threshold(value, float(above[value]))
