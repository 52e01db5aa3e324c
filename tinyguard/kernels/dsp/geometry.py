# SPDX-License-Identifier: Apache-2.0
"""A convolution in the form that the DSP kernels like best: long rows of output pixels."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinyguard.operators.families.window import Axis


@dataclass(frozen=True)
class Geometry:
    """Rows and columns of the window; `weights` (output channel, row, column, input channel).

    Dilated columns come as `phases` images, each of every so many columns: in them a window's columns lie
    side by side, and `columns` describes the first of them. `step` is from a column of a tile that is
    gathered to the next, in the input.
    """

    batches: int
    rows: Axis
    columns: Axis
    weights: np.ndarray
    output_width: int
    phases: int = 1

    @property
    def step(self) -> int:
        return self.columns.stride * self.phases

    @property
    def channels(self) -> int:
        return int(self.weights.shape[0])

    @property
    def depth(self) -> int:
        return int(self.weights.shape[3])


def geometry(operator: Any) -> Geometry | None:
    """The layer's geometry, transposed when it is one column wide and in one row when it is 1x1.

    None when its columns are both strided and dilated.
    """
    rows, columns = operator.rows, operator.columns
    g = Geometry(operator.input_tensor(0).shape[0], rows, columns, operator.weights, columns.output)
    g = _without_padding_taps(g)
    if g.columns.input == 1 and g.columns.output == 1:
        weights = g.weights.swapaxes(1, 2)
        g = replace(g, rows=g.columns, columns=g.rows, weights=weights, output_width=g.rows.output)
    rows, columns = g.rows, g.columns
    plain = all((a.kernel, a.stride, a.padded) == (1, 1, a.input) for a in (rows, columns))
    if plain:
        pixels = rows.input * columns.input
        line = Axis(pixels, 1, 1, 1, pixels, 0)
        return replace(g, rows=Axis(1, 1, 1, 1, 1, 0), columns=line, output_width=pixels)
    if columns.dilation == 1 or columns.kernel == 1:
        return g
    if columns.stride > 1:
        return None
    phase = Axis(columns.input, columns.kernel, 1, 1, -(-columns.output // columns.dilation), columns.before)
    return replace(g, columns=phase, phases=columns.dilation)


def _without_padding_taps(g: Geometry) -> Geometry:
    """An axis of one input element sees one tap of the kernel: the others fall on padding."""
    rows, columns, weights = g.rows, g.columns, g.weights
    if (tap := _only_tap(rows)) is not None:
        weights, rows = weights[:, tap : tap + 1], Axis(1, 1, 1, 1, 1, 0)
    if (tap := _only_tap(columns)) is not None:
        weights, columns = weights[:, :, tap : tap + 1], Axis(1, 1, 1, 1, 1, 0)
    return replace(g, rows=rows, columns=columns, weights=weights)


def _only_tap(axis: Axis) -> int | None:
    """The tap that sees the only element of an axis."""
    tap, apart = divmod(axis.before, axis.dilation)
    return tap if (axis.input, axis.output, apart) == (1, 1, 0) and tap < axis.kernel else None
