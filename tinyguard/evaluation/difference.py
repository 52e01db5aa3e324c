# SPDX-License-Identifier: Apache-2.0
"""Two back ends, tensor by tensor: the first layer that differs, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tinyguard.graph import Graph, Node


@dataclass(frozen=True)
class LayerDifference:
    """One output tensor of one layer on both sides.

    `differing` elements of `elements`; the largest absolute difference in codes; at `where`, the first
    element that differs, the two values; `how` in words. `inputs_equal`: the layer was fed the same.
    """

    layer: int
    name: str
    operator: str
    elements: int
    differing: int
    largest: float
    where: tuple[int, ...] | None
    expected: float | None
    found: float | None
    how: str
    inputs_equal: bool


def differences(
    graph: Graph, expected: Mapping[int, np.ndarray], found: Mapping[int, np.ndarray]
) -> Iterator[LayerDifference]:
    """Compare every tensor that both sides have, in the order of execution.

    `expected` and `found` map tensor indices to arrays (N, *tensor.shape).
    """
    equal = {index: True for index in graph.inputs}
    for node in graph.nodes:
        inputs_equal = all(equal.get(index, True) for index in node.inputs)
        for index in node.outputs:
            if index in expected and index in found:
                difference = _compare(graph, node, index, expected[index], found[index], inputs_equal)
                equal[index] = difference.differing == 0
                yield difference


def _compare(
    graph: Graph, node: Node, index: int, expected: np.ndarray, found: np.ndarray, inputs_equal: bool
) -> LayerDifference:
    found = found.reshape(expected.shape)
    unequal = expected != found
    where = tuple(int(i) for i in np.argwhere(unequal)[0]) if unequal.any() else None
    gap = found.astype(np.float64) - expected.astype(np.float64)
    return LayerDifference(
        layer=node.index,
        name=graph.tensors[index].name,
        operator=node.operator,
        elements=expected.size,
        differing=int(unequal.sum()),
        largest=float(np.abs(gap).max(initial=0)),
        where=where,
        expected=None if where is None else float(expected[where]),
        found=None if where is None else float(found[where]),
        how=_how(expected, found, gap, unequal),
        inputs_equal=inputs_equal,
    )


def _how(expected: np.ndarray, found: np.ndarray, gap: np.ndarray, unequal: np.ndarray) -> str:
    """What the pattern of a difference looks like, to someone who has to find its cause."""
    if not unequal.any():
        return "equal"
    gaps = gap[unequal]
    if len(np.unique(found)) == 1:
        return f"all codes are {found.flat[0]}: not computed, or never transferred"
    if np.all(np.abs(gaps) == 1):
        return "off by one: rounding"
    if np.all(gaps == gaps[0]):
        return f"a constant offset of {gaps[0]:+g}: zero point or bias"
    if expected.ndim and expected.shape[-1] > 1:
        channels = np.unique(np.argwhere(unequal)[:, -1])
        if len(channels) <= expected.shape[-1] // 4:
            return f"only in channels {', '.join(map(str, channels[:8]))}: weights or multipliers"
    if np.array_equal(np.sort(expected, axis=None), np.sort(found, axis=None)):
        return "the same codes in another order: layout"
    return "arbitrary"
