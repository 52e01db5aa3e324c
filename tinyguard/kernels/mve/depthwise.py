# SPDX-License-Identifier: Apache-2.0
"""DEPTHWISE_CONV_2D in MVE: one gather and one VMLADAV an output for up to 16 taps."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.kernels.mve._flash import code_bytes
from tinyguard.kernels.mve._planes import Planes, planes_of, run_statement
from tinyguard.kernels.mve._requantize import Requantize, channel_constants, folded_bias, form_of
from tinyguard.operators import Emission, Operator, Target
from tinyguard.operators.base import c_shape

_LOOPS_BYTES = 500  # code around the runs


def _rule(operator: Any) -> Requantize:
    return form_of(operator.shifts, operator.outputs[0].zero_point, operator.low, operator.high)


def _planes(operator: Any) -> Planes:
    found = planes_of(operator, _rule(operator).form)
    assert found is not None
    return found


def _groups(channels: int) -> list[int]:
    """The first channel of each group of four; the last group overlaps the one before."""
    return [min(c, channels - 4) for c in range(0, channels, 4)]


class Depthwise(Kernel):
    """At least 4 channels, multiplier 1; int8, batch 1.

    Four channels at a time are copied into a tile, which leaves the output free to lie on the input.
    """

    name: ClassVar = "mve depthwise"
    operators: ClassVar = ("DEPTHWISE_CONV_2D",)

    def supports(self, operator: Any, target: Target) -> bool:
        source = operator.input_tensor(0)
        fits = source.dtype == "int8" and source.shape[0] == 1 and operator.multiplier == 1
        return fits and source.shape[3] >= 4 and planes_of(operator, _rule(operator).form) is not None

    def cost(self, operator: Any, target: Target) -> Cost:
        planes, rule, channels = _planes(operator), _rule(operator), operator.outputs[0].shape[3]
        stored = planes.stored_taps(target)
        constants = 4 * len(_groups(channels)) * (len(planes.parts) * stored + 4 * rule.words)
        code = code_bytes(run_statement(planes, rule, channels, stored)) + _LOOPS_BYTES
        return Cost(planes.instructions(channels, rule.form), constants, code)

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        return _planes(operator).scratch_bytes

    def in_place(self, operator: Operator) -> tuple[int, ...]:
        return (0,) if operator.outputs[0].shape[3] % 4 == 0 else ()

    def emit(self, operator: Any, c: Emission) -> str:
        planes, rule = _planes(operator), _rule(operator)
        source, channels = operator.input_tensor(0), operator.outputs[0].shape[3]
        order = (np.array(_groups(channels))[:, None] + np.array([0, 2, 1, 3])).ravel()
        rows = np.moveaxis(operator.weights[0], 2, 0)
        stored = planes.stored_taps(c.target)
        taps = planes.weights(rows, stored)
        bias = folded_bias(operator.bias, rows.sum(axis=(1, 2), dtype=np.int64), source.zero_point)
        constants = channel_constants(rule, operator, bias)
        names = (
            c.constant(
                "weights", taps[order], "channels 0 2 1 3 of each four: parts of the window, their taps"
            ),
            c.constant("channels", constants[order], f"channels 0 2 1 3 of each four\n{rule.record}"),
        )
        c.kernel("mve/planes.h")
        lines = [
            _shape(operator, planes),
            _offsets(operator, planes),
            f"const int8_t *const source = {c.input(0)};",
        ]
        lines += [f"int8_t *const target = {c.output()};", f"int8_t *const tile = {c.scratch()};"]
        lines.append(f"tg_mve_fill(tile, {source.zero_point}, {planes.strips * planes.tile_bytes});")
        return "\n".join(lines + _groups_loop(planes, rule, channels, stored, *names))


def _groups_loop(
    planes: Planes, rule: Requantize, channels: int, stored: int, weights: str, words: str
) -> list[str]:
    count = len(_groups(channels))
    channel = (
        "4 * group" if channels % 4 == 0 else f"(4 * group < {channels - 4} ? 4 * group : {channels - 4})"
    )
    body = [
        f"const int32_t channel = {channel};",
        "tg_mve_planes_tile(&shape, source + channel, tile);",
        *_strips(planes, rule, channels, stored, weights, words),
    ]
    return [f"for (int32_t group = 0; group < {count}; group++) {{", *("    " + t for t in body), "}"]


_REGISTERS = (
    "/* Blocks of four pixels times four channels: r0, r2, r4, r6 sums of channel 0, then 1; r8, r10, r12,",
    "   r14 of 2, then 3; q4-q7 where the pixels' taps lie, q0 weights, q2 codes, q3 what is stored. */",
)


def _strips(
    planes: Planes, rule: Requantize, channels: int, stored: int, weights: str, words: str
) -> list[str]:
    width, (run, length), (lines, across) = planes.columns.output, planes.run, planes.lines
    last_line, last = lines - across, run - length
    line_step, run_step = planes.at(1, 0), planes.at(0, 1)
    output_line, output_run = width * channels, channels
    if not planes.along_rows:
        line_step, run_step, output_line, output_run = run_step, line_step, output_run, output_line
    tile, to = "tile", "target + channel"
    if planes.strips > 1:
        tile = f"tile + strip * {planes.tile_bytes}"
        shift = width - planes.strip
        to += f" + (strip * {planes.strip} < {shift} ? strip * {planes.strip} : {shift}) * {channels}"
    parts = 1 if last <= 0 or run % length == 0 else 2
    begin, number = (
        ("0", str(max(1, run // length))) if parts == 1 else (f"part * {last}", f"part ? 1 : {run // length}")
    )
    body = [
        *_REGISTERS,
        f'register const int8_t *windows __asm__("r1") = {tile} + line * {line_step} + {begin} * {run_step};',
        f'register const int8_t *taps __asm__("r3") = {weights} + group * {4 * len(planes.parts) * stored};',
        f'register const int32_t *constants __asm__("r5") = {words} + group * {4 * rule.words};',
        'register const void *offsets __asm__("r7") = &offsets_of_four;',
        f'register int8_t *to __asm__("r9") = {to} + line * {output_line} + {begin} * {output_run};',
        f'register int32_t blocks __asm__("r11") = {number};',
        *run_statement(planes, rule, channels, stored),
    ]
    if parts == 2:
        body = ["for (int32_t part = 0; part < 2; part++) {", *("    " + t for t in body), "}"]
    if across > 1 and lines % across and last_line > 0:
        body = [f"const int32_t line = first < {last_line} ? first : {last_line};", *body]
    name = "first" if across > 1 and lines % across and last_line > 0 else "line"
    body = [
        f"for (int32_t {name} = 0; {name} < {lines}; {name} += {across}) {{",
        *("    " + t for t in body),
        "}",
    ]
    if planes.strips > 1:
        body = [
            f"for (int32_t strip = 0; strip < {planes.strips}; strip++) {{",
            *("    " + t for t in body),
            "}",
        ]
    return body


def _shape(operator: Any, planes: Planes) -> str:
    source, columns = operator.input_tensor(0), operator.columns
    return c_shape(
        "tg_mve_planes_shape",
        input_height=source.shape[1],
        input_width=source.shape[2],
        channels=source.shape[3],
        strips=planes.strips,
        strip_step=planes.strip * columns.stride,
        last_strip=(columns.output - planes.strip) * columns.stride,
        tile_rows=planes.tile_rows,
        tile_columns=planes.tile_columns,
        pad_top=operator.rows.before,
        pad_left=columns.before,
    )


def _offsets(operator: Any, planes: Planes) -> str:
    """Gathers of the four pixels' taps, and where their outputs lie."""
    _, _, width, channels = operator.outputs[0].shape
    gathers = ", ".join(map(str, planes.gathers().ravel()))
    outputs = ", ".join(str((row * width + column) * channels) for row, column in planes.pixels)
    kind = "struct { uint8_t gather[64]; uint32_t output[4]; }"
    head = f"static const {kind} offsets_of_four __attribute__((aligned(4))) = {{"
    return f"{head}\n    {{{gathers}}},\n    {{{outputs}}},\n}};"
