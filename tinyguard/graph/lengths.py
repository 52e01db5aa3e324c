# SPDX-License-Identifier: Apache-2.0
"""Outputs of variable length: what lies beyond their used bytes means nothing, and reads as zeros."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tinyguard.graph.graph import Graph


def clear_unused(graph: Graph, outputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The graph's outputs (N, ...) in order, zero beyond the used bytes of each sample."""
    values = cleared(graph, dict(zip(graph.outputs, outputs, strict=True)))
    return tuple(values[index] for index in graph.outputs)


def cleared(graph: Graph, tensors: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """The same for tensors by index, N samples each, of which outputs of variable length are some."""
    values = dict(tensors)
    for index, count in graph.lengths.items():
        if index in tensors and count in tensors:
            values[index] = _clear(tensors[index], tensors[count])
    return values


def _clear(output: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """A count beyond the output, negative ones too, uses all of it, as on a board."""
    samples = len(output)
    data = np.ascontiguousarray(output).reshape(samples, -1).view(np.uint8).copy()
    used = counts.reshape(samples, -1)[:, :1].astype(np.int32).view(np.uint32)
    data[np.arange(data.shape[1]) >= used] = 0
    return data.view(output.dtype).reshape(output.shape)
