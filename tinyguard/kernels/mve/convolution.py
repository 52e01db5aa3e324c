# SPDX-License-Identifier: Apache-2.0
"""CONV_2D in MVE: products of four windows and all channels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.kernels.mve._flash import code_bytes
from tinyguard.kernels.mve._product import PIXELS
from tinyguard.kernels.mve._requantize import channel_constants, folded_bias
from tinyguard.kernels.mve._windows import Layout, layout
from tinyguard.operators import Emission, Target
from tinyguard.operators.base import c_shape
from tinyguard.operators.families import window

_LAYING_OUT_BYTES = {"direct": 150, "column": 450, "row": 450, "four": 550}  # code around the products


class Convolution(Kernel):
    """Any stride, dilation and padding; int8, one group, batch 1."""

    name: ClassVar = "mve convolution"
    operators: ClassVar = ("CONV_2D",)

    def supports(self, operator: Any, target: Target) -> bool:
        source = operator.input_tensor(0)
        return source.dtype == "int8" and operator.groups == 1 and source.shape[0] == 1

    def cost(self, operator: Any, target: Target) -> Cost:
        found = layout(operator, target)
        code = code_bytes(found.product.lines()) + _LAYING_OUT_BYTES[found.form]
        return Cost(found.total, found.product.constant_bytes, code)

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        return layout(operator, target).scratch_bytes

    def emit(self, operator: Any, c: Emission) -> str:
        found = layout(operator, c.target)
        product, weights = found.product, operator.weights
        if found.form == "row":
            weights = weights.transpose(0, 2, 1, 3)
        matrix = weights.reshape(product.channels, -1)
        sums = matrix.sum(axis=1, dtype=np.int64)
        bias = folded_bias(operator.bias, sums, operator.input_tensor(0).zero_point)
        constants = product.constants(channel_constants(product.rule, operator, bias))
        order = "pairs of channels" + (", 0 2 and 1 3 of each four" if product.by_words else "")
        vectors = f"{order}; {product.lanes} codes of the first, of the second, and so on"
        begin = c.constant("weights", product.weights(matrix), vectors)
        words = c.constant("channels", constants, f"{order}\n{product.rule.record}")
        c.kernel("mve/patches.h")
        lines = [
            _outputs(operator, found, f"{words} + {constants.size}"),
            f"const int8_t *const source = {c.input(0)};",
            f"int8_t *const target = {c.output()};",
        ]
        if found.form != "direct":
            lines += [_shape(operator, product.step), f"int8_t *const tile = {c.scratch()};"]
        return "\n".join(lines + _loops(operator, found, begin, words))


def _outputs(operator: Any, found: Layout, end: str) -> str:
    """Where the four pixels' outputs lie, and where the channels' constants end."""
    offsets = [min(k, found.line - 1) * found.output_step for k in range(PIXELS)]
    values = ", ".join(map(str, offsets))
    kind = "struct { uint32_t offset[4]; const int32_t *end; }"
    return f"static const {kind} outputs_of_four = {{{{{values}}}, {end}}};"


def _loops(operator: Any, found: Layout, weights: str, channels: str) -> list[str]:
    """Lines of pixels, and four pixels of a line at a time; the last four overlap those before."""
    _, _, width, depth = operator.input_tensor(0).shape
    line_bytes = operator.outputs[0].shape[2] * operator.outputs[0].shape[3]
    line = "line" if found.lines > 1 else "0"
    begin = "tile"
    lay_out = {"column": "tg_mve_column_tile", "row": "tg_mve_row_tile"}.get(found.form)
    body = [f"{lay_out}(&shape, source, {line}, tile);"] if lay_out else []
    if found.form == "direct":
        begin = f"source + {line} * {operator.rows.stride * width * depth}"
    step = operator.outputs[0].shape[3] if found.form == "column" else line_bytes
    body += _fours(found, begin, f"target + {line} * {step}", weights, channels)
    if found.lines == 1:
        return body
    head = f"for (int32_t line = 0; line < {found.lines}; line++) {{"
    return [head, *("    " + text for text in body), "}"]


_REGISTERS = (
    "/* Four pixels times all channels, two at a time: r0, r2, r4, r6 the first channel's sums, r8, r10,",
    "   r12, r14 the second's; q4-q7 the pixels' first codes, q0 and q1 weights; r11 counter or end. */",
)


def _fours(found: Layout, begin: str, to: str, weights: str, channels: str) -> list[str]:
    count, last = found.line, found.line - PIXELS
    pixel = "pixel" if last > 0 else "0"
    body = [f"tg_mve_four_windows(&shape, source, {pixel}, tile);"] if found.form == "four" else []
    from_pixel = begin if found.form == "four" else f"{begin} + {pixel} * {found.product.step}"
    body += [
        *_REGISTERS,
        f'register const int8_t *pixels __asm__("r1") = {from_pixel};',
        f'register const int8_t *weights __asm__("r3") = {weights};',
        f'register const int32_t *channels __asm__("r5") = {channels};',
        'register const void *outputs __asm__("r7") = &outputs_of_four;',
        f'register int8_t *to __asm__("r9") = {to} + {pixel} * {found.output_step};',
        *found.product.statement(),
    ]
    if last <= 0:
        return ["{", *("    " + text for text in body), "}"]
    if count % PIXELS == 0:
        head = f"for (int32_t pixel = 0; pixel < {count}; pixel += {PIXELS}) {{"
    else:
        head = f"for (int32_t four = 0; four < {count}; four += {PIXELS}) {{"
        body.insert(0, f"const int32_t pixel = four < {last} ? four : {last};")
    return [head, *("    " + text for text in body), "}"]


def _shape(operator: Any, window_bytes: int) -> str:
    source, output = operator.input_tensor(0), operator.outputs[0]
    return c_shape(
        "tg_mve_patches_shape",
        input_height=source.shape[1],
        input_width=source.shape[2],
        input_channels=source.shape[3],
        output_height=output.shape[1],
        output_width=output.shape[2],
        **window.fields(operator.rows, operator.columns),
        dilation_height=operator.rows.dilation,
        dilation_width=operator.columns.dilation,
        zero_point=source.zero_point,
        window=window_bytes,
    )


class OneChannel(Convolution):
    """DEPTHWISE_CONV_2D on one input channel: the convolution with its weights turned round."""

    name: ClassVar = "mve convolution of one channel"
    operators: ClassVar = ("DEPTHWISE_CONV_2D",)

    def supports(self, operator: Any, target: Target) -> bool:
        source = operator.input_tensor(0)
        return source.dtype == "int8" and source.shape[3] == 1 and source.shape[0] == 1

    def cost(self, operator: Any, target: Target) -> Cost:
        return super().cost(_turned(operator), target)

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        return super().scratch_bytes(_turned(operator), target)

    def emit(self, operator: Any, c: Emission) -> str:
        return super().emit(_turned(operator), c)


def _turned(operator: Any) -> SimpleNamespace:
    """What a convolution needs of the operator."""
    names = (
        "rows",
        "columns",
        "shifts",
        "multipliers",
        "bias",
        "low",
        "high",
        "inputs",
        "outputs",
        "input_tensor",
    )
    values = {name: getattr(operator, name) for name in names}
    return SimpleNamespace(weights=operator.weights.transpose(3, 1, 2, 0), **values)
