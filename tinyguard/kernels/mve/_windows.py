# SPDX-License-Identifier: Apache-2.0
"""How the windows of a convolution are laid out in memory for the products, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinyguard.kernels.mve._product import PIXELS, Product
from tinyguard.kernels.mve._requantize import form_of
from tinyguard.operators import Target

_MOST_TILE_BYTES = 8192
_SMALL_TILE = 32  # for size, a tile takes at most this part of input and output
_UNROLL = {"speed": 12, "balanced": 6, "size": 2}  # vectors of depth printed without a loop
_UNROLL_LONG = {"speed": 7, "balanced": 4, "size": 2}  # printed in a loop's body


@dataclass(frozen=True)
class Layout:
    """Windows in `lines` lines of `line` pixels, whose outputs lie `output_step` bytes apart.

    `form`: "direct" (they lie so in the input), "column" and "row" (a tile for each output column or row)
    or "four" (copied four at a time). `instructions` to lay them out.
    """

    form: str
    product: Product
    lines: int
    line: int
    output_step: int
    instructions: float
    scratch_bytes: int

    @property
    def total(self) -> float:
        return self.instructions + self.product.instructions(self.lines * -(-self.line // PIXELS))


def _up(n: int, unit: int) -> int:
    return -(-n // unit) * unit


def _unroll(vectors: int, target: Target) -> int:
    if vectors <= _UNROLL[target.optimize] + 1:
        return max(1, vectors - 1)
    most = _UNROLL_LONG[target.optimize]
    return max(range(max(1, most - 3), most + 1), key=lambda body: (-((vectors - 1) % body), body))


def layouts(operator: Any, target: Target) -> list[Layout]:
    source, output = operator.input_tensor(0), operator.outputs[0]
    depth = source.shape[3]
    _, rows_out, columns_out, channels = output.shape
    rows, columns = operator.rows, operator.columns
    rule = form_of(operator.shifts, output.zero_point, operator.low, operator.high)
    window = rows.kernel * columns.kernel * depth

    def product(readable: int, step: int) -> Product:
        vectors = -(-window // 16)
        return Product(
            window, readable, channels, step, rule, _unroll(vectors, target), not (step % 4 or readable % 4)
        )

    pixels = rows_out * columns_out
    stride = _up(window, 16)
    per_window = 30 + rows.kernel * (9 + columns.kernel * depth / 16 * 3) * (
        columns.kernel if columns.dilation > 1 else 1
    )
    found = [
        Layout("four", product(stride, stride), 1, pixels, channels, per_window * pixels, PIXELS * stride)
    ]
    if window == depth and not (rows.before or columns.before) and (depth >= 16 or depth == 8):
        flat = rows.stride == columns.stride == 1
        lines, line = (1, pixels) if flat else (rows_out, columns_out)
        if line >= PIXELS:
            p = product(depth, columns.stride * depth)
            found.append(Layout("direct", p, lines, line, channels, 4.0 * lines, 0))
    most = _MOST_TILE_BYTES
    if target.optimize == "size":
        most = max(PIXELS * stride, (source.elements + output.elements) // _SMALL_TILE)
    for form, along, across in (("column", rows, columns), ("row", columns, rows)):
        if along.output < PIXELS or rows.dilation > 1 or columns.dilation > 1 or window == depth:
            continue
        run = across.kernel * depth
        reach = (along.output - 1) * along.stride + along.kernel
        scratch = reach * run + 16
        if scratch > most:
            continue
        if form == "column":
            output_step, pieces, each = columns_out * channels, 1, 3 + 2 * -(-run // 16)
        else:
            output_step, pieces, each = channels, across.kernel, 7 + 3 * -(-depth // 16)
        copies = float(across.output * reach * pieces * each)
        p = product(stride, along.stride * run)
        found.append(Layout(form, p, across.output, along.output, output_step, copies, scratch))
    return found


def layout(operator: Any, target: Target) -> Layout:
    return min(layouts(operator, target), key=lambda found: found.total)
