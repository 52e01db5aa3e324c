# SPDX-License-Identifier: Apache-2.0
"""Cuts rows and columns off a convolution's window that never meet the input, or weigh nothing.

A 3x3 window with padding on an image of one pixel has one tap that counts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinyguard.graph import Graph
from tinyguard.operators import resolve
from tinyguard.operators.conv_2d import Conv2D
from tinyguard.operators.depthwise_conv_2d import DepthwiseConv2D
from tinyguard.operators.families.window import Axis
from tinyguard.passes.draft import Draft
from tinyguard.passes.padding import explicit


def trim_windows(graph: Graph) -> Graph:
    """The graph with the smallest windows that compute the same sums."""
    draft = Draft(graph)
    changed = False
    for position, operator in enumerate(resolve(graph)):
        if not isinstance(operator, Conv2D | DepthwiseConv2D):
            continue
        rows, top = trimmed(operator.rows, operator.weights.any(axis=(0, 2, 3)))
        columns, left = trimmed(operator.columns, operator.weights.any(axis=(0, 1, 3)))
        if (rows.kernel, columns.kernel) == operator.weights.shape[1:3]:
            continue
        weights = operator.weights[:, top : top + rows.kernel, left : left + columns.kernel]
        draft.set_constant(position, 1, np.ascontiguousarray(weights))
        draft.change(position, options=explicit(rows, columns))
        changed = True
    return draft.graph() if changed else graph


def trimmed(axis: Axis, weighs: np.ndarray) -> tuple[Axis, int]:
    """The axis with as few taps as possible, and how many were cut off its beginning.

    `weighs` says which taps have a weight. Every window still meets the input.
    """
    starts = np.arange(axis.output)[:, None] * axis.stride - axis.before
    taps = starts + np.arange(axis.kernel) * axis.dilation
    useful = np.flatnonzero(((taps >= 0) & (taps < axis.input)).any(axis=0) & weighs)
    if not len(useful):
        return axis, 0
    first = min(int(useful[0]), axis.before // axis.dilation)  # no kernel begins inside the input
    fewer = replace(axis, kernel=int(useful[-1]) + 1 - first, before=axis.before - first * axis.dilation)
    return (fewer, first) if fewer.inside().min() >= 1 else (axis, 0)
