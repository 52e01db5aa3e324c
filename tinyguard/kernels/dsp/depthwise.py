# SPDX-License-Identifier: Apache-2.0
"""DEPTHWISE_CONV_2D from planes of 16-bit codes: 3x3 in assembly, any other window in C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tinyguard.kernels.dsp.requantize import requantization_words
from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Operator, Target
from tinyguard.operators.base import c_shape
from tinyguard.operators.depthwise_conv_2d import DepthwiseConv2D
from tinyguard.operators.families.window import Axis

_SCRATCH_BYTES = 8192  # larger planes are filled band by band
_MOST_SCRATCH_BYTES = 32768
_LARGEST_PITCH = 254  # what the assembly can reach
_SHARED_PITCH = 64  # TG_DEPTHWISE_SHARED_PITCH
_PLANES = 4
_MOST_UNROLLED = 4


@dataclass(frozen=True)
class Layout:
    """How a layer is computed: lines along `along`, one below the other along `across`."""

    along: Axis
    across: Axis
    columnwise: bool  # lines are the image's columns
    square: bool  # the 3x3 assembly
    exact: bool  # every channel's requantization is in five instructions
    shared: bool  # one function for all layers, records made at run time
    pitch: int  # codes of a plane's line
    pairs: int  # words of weights per row of the kernel
    band: int  # lines of outputs that one filling gives
    plane_lines: int
    planes: int

    @property
    def scratch_bytes(self) -> int:
        record = 4 * (4 + max(6, self.across.kernel * self.pairs)) if self.shared else 0
        return self.planes * self.plane_lines * self.pitch * 2 + record

    @property
    def whole(self) -> bool:
        """Whether one band holds the image."""
        return self.band >= self.across.output


def _reach(axis: Axis) -> int:
    return (axis.kernel - 1) * axis.dilation + 1


def _layout(op: DepthwiseConv2D, columnwise: bool, shared: bool) -> Layout:
    along, across = (op.rows, op.columns) if columnwise else (op.columns, op.rows)
    exact = _words(op) is not None
    plain = all(axis.kernel == 3 and axis.dilation == 1 for axis in (along, across))
    step = op.outputs[0].shape[3] * (op.columns.output if columnwise else 1)
    square = exact and plain and along.stride <= 2 and step <= 2047 and along.output <= 510
    pairs = (_reach(along) + 1) // 2
    reads = (along.output - 1) * along.stride + 2 * pairs
    if square:
        reads = along.output + 2 if along.stride == 1 else 2 * along.output + 2
    pitch = reads + reads % 2
    if square and shared:
        square, pitch = pitch <= _SHARED_PITCH, max(pitch, _SHARED_PITCH)
    square = square and pitch <= _LARGEST_PITCH
    planes = min(_PLANES, op.input_tensor(0).shape[3])
    lines = _SCRATCH_BYTES // (2 * planes * pitch)
    band = max(1, min(across.output, (lines - _reach(across)) // across.stride + 1))
    plane_lines = (band - 1) * across.stride + _reach(across)
    return Layout(along, across, columnwise, square, exact, shared, pitch, pairs, band, plane_lines, planes)


def _instructions(op: DepthwiseConv2D, layout: Layout) -> float:
    """About what a layer takes with a layout."""
    channels, lines = op.outputs[0].shape[3], layout.across.output
    outputs = layout.along.output
    if layout.square:
        line = outputs // 2 * (27.5 if layout.along.stride == 1 else 29.5) + outputs % 2 * 18 + 6
        computed = channels * (lines * line + 30)
    else:
        taps = layout.across.kernel * layout.pairs
        quads, singles = divmod(outputs, 4)
        step = layout.across.kernel * 4
        line = quads * (9 * taps + step + 36) + singles * (3 * taps + step + 14) + 10
        computed = channels * (lines * line + 30)
    filled = layout.plane_lines * -(-lines // layout.band) * min(layout.along.input, layout.pitch)
    return float(op.input_tensor(0).shape[0] * (computed + 1.7 * filled * op.input_tensor(0).shape[3]))


def _best(op: DepthwiseConv2D, shared: bool) -> Layout:
    layouts = [_layout(op, columnwise, shared) for columnwise in (False, True)]
    fitting = [found for found in layouts if found.scratch_bytes <= _MOST_SCRATCH_BYTES] or layouts
    return min(fitting, key=lambda found: (_instructions(op, found), found.scratch_bytes))


def _words(op: DepthwiseConv2D) -> np.ndarray | None:
    return requantization_words(op.multipliers, op.shifts, op.outputs[0].zero_point, op.largest_sum)


def _bias(op: DepthwiseConv2D) -> np.ndarray:
    """int32 (channels,): the bias for raw codes."""
    sums = op.weights[0].astype(np.int64).sum(axis=(0, 1))
    return np.asarray(op.bias - op.input_tensor(0).zero_point * sums).astype(np.int32)


def _pairs(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """int32 words of two 16-bit lanes."""
    words = (low.astype(np.int64) & 0xFFFF) | ((high.astype(np.int64) & 0xFFFF) << 16)
    return words.astype(np.uint32).view(np.int32)


def _records(op: DepthwiseConv2D, layout: Layout) -> np.ndarray:
    """int32 (channels, words): see firmware/kernels/dsp/depthwise.h and depthwise_3x3.h."""
    words = _words(op)
    factor = 1 if words is None else 2
    weights = op.weights[0].astype(np.int64)
    bias = (factor * _bias(op).astype(np.int64)).astype(np.uint32).view(np.int32)[:, None]
    if words is None:
        words = np.stack([op.multipliers, np.zeros_like(op.multipliers), op.shifts], axis=1)
    weights = factor * (weights.transpose(2, 1, 0) if layout.columnwise else weights.transpose(2, 0, 1))
    if layout.square:
        first, last = _pairs(weights[:, :, 0], weights[:, :, 1]), weights[:, :, 2]
        if layout.along.stride == 1:
            taps = np.stack([first, _pairs(weights[:, :, 1], last)], axis=2).reshape(-1, 6)
        else:
            taps = np.concatenate([first, _pairs(last[:, ::2], last[:, 1:2] * [1, 0])], axis=1)
        return np.concatenate([taps, bias, words], axis=1).astype(np.int32)
    line = np.zeros((*weights.shape[:2], 2 * layout.pairs), np.int64)
    line[:, :, : _reach(layout.along) : layout.along.dilation] = weights
    taps = _pairs(line[:, :, ::2], line[:, :, 1::2]).reshape(len(bias), -1)
    return np.concatenate([bias, words, taps], axis=1).astype(np.int32)


def _record_words(layout: Layout, words: int) -> str:
    """For a comment: where in a row of `_records` everything lies."""
    if layout.square:
        taps = words - 4
        return (
            f"one channel per row\nwords 0-{taps - 1}: weights, pairs of 16 bits, doubled\n"
            f"word {taps}: bias, doubled\nwords {taps + 1}-{taps + 3}: multiplier, round, shift"
        )
    doubled = ", doubled" if layout.exact else ""
    return (
        f"one channel per row\nword 0: bias{doubled}\nwords 1-3: multiplier, round, shift\n"
        f"words 4-{words - 1}: weights, pairs of 16 bits{doubled}"
    )


class DepthwisePlanes(Kernel):
    """Four channels at a time split into planes, padding written out, two or four outputs per step."""

    name: ClassVar = "dsp depthwise"
    operators: ClassVar = ("DEPTHWISE_CONV_2D",)
    shared: ClassVar = False

    def supports(self, operator: Any, target: Target) -> bool:
        if operator.outputs[0].dtype != "int8":
            return False
        return _best(operator, self.shared).scratch_bytes <= _MOST_SCRATCH_BYTES

    def cost(self, operator: Any, target: Target) -> Cost:
        layout = _best(operator, self.shared)
        code = 700 if layout.square else 900
        return Cost(_instructions(operator, layout), _records(operator, layout).nbytes, code)

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        return _best(operator, self.shared).scratch_bytes

    def in_place(self, operator: Operator) -> tuple[int, ...]:
        assert isinstance(operator, DepthwiseConv2D)
        same = operator.outputs[0].shape == operator.input_tensor(0).shape
        return (0,) if same and _best(operator, self.shared).whole else ()

    def emit(self, operator: Any, c: Emission) -> str:
        layout = _best(operator, self.shared)
        c.kernel("dsp/depthwise.h")
        parameters = self.parameters(operator, layout, c)
        return (
            f"{_layer(operator, layout)}\n{_planes(operator, layout)}\n{_window(operator, layout)}\n"
            f"const tg_depthwise_parameters parameters = {{{parameters}}};\n"
            f"{self.function(layout)}(&shape, &planes, &window, {c.input(0)}, &parameters, {c.scratch()}, "
            f"{c.output()});"
        )

    def function(self, layout: Layout) -> str:
        """The C function to call."""
        return "tg_depthwise_planes_s8"

    def parameters(self, operator: DepthwiseConv2D, layout: Layout, c: Emission) -> str:
        """Declare the constants; initialisers of tg_depthwise_parameters."""
        records = _records(operator, layout)
        return f".records = {c.constant('records', records, _record_words(layout, records.shape[1]))}"


class DepthwiseShared(DepthwisePlanes):
    """The same in one function for all layers, from the weights as they are: records made at run time."""

    name: ClassVar = "dsp depthwise shared"
    shared: ClassVar = True

    def supports(self, operator: Any, target: Target) -> bool:
        return super().supports(operator, target) and _best(operator, self.shared).exact

    def cost(self, operator: Any, target: Target) -> Cost:
        layout = _best(operator, self.shared)
        made = 80.0 if layout.square else 30.0 + 25.0 * layout.across.kernel * layout.pairs
        records = made * operator.bias.size * -(-layout.across.output // layout.band)
        inlined = _instructions(operator, _best(operator, False))
        slower = (1.15 if layout.square else 1.8) * _instructions(operator, layout) + records
        instructions = min(slower, 2.0 * inlined)  # still what "size" wants, for a quarter of the flash
        weights = sum(t.size_bytes for t in operator.inputs if t is not None and t.is_constant)
        return Cost(instructions, weights)

    def function(self, layout: Layout) -> str:
        window = f"3x3_{layout.along.stride}" if layout.square else "any"
        return f"tg_depthwise_shared_{window}_s8"

    def parameters(self, operator: DepthwiseConv2D, layout: Layout, c: Emission) -> str:
        words = _words(operator)
        assert words is not None
        arrays = {
            "weights": (operator.weights, "row, column, output channel"),
            "bias": (_bias(operator), "accumulator units, with the input's zero point"),
            "multipliers": (words[:, 0], "times 2^(shift - 31)"),
            "shifts": ((-words[:, 2]).astype(np.int8), "positive is to the left"),
        }
        fields = [f".{role} = {c.constant(role, *array)}" for role, array in arrays.items()]
        return ", ".join([".layer = &shape", *fields])


def _layer(op: DepthwiseConv2D, layout: Layout) -> str:
    source, output = op.input_tensor(0), op.outputs[0]
    return c_shape(
        "tg_depthwise_layer",
        batches=source.shape[0],
        input_elements=source.elements // source.shape[0],
        output_elements=output.elements // output.shape[0],
        channels=source.shape[3],
        multiplier=op.multiplier,
        lines=layout.across.output,
        band=layout.band,
        stride=layout.across.stride,
        before=layout.across.before,
        kernel=layout.across.kernel,
        dilation=layout.across.dilation,
        pairs=layout.pairs,
        square=int(layout.square),
        exact=int(layout.exact),
        output_offset=output.zero_point,
        low=op.low,
        high=op.high,
        words=_records(op, layout).shape[1],
        taps=layout.along.kernel,
        tap_dilation=layout.along.dilation,
        tap_step=output.shape[3] * (op.columns.kernel if layout.columnwise else 1),
        row_step=output.shape[3] * (1 if layout.columnwise else op.columns.kernel),
    )


def _steps(shape: tuple[int, ...], columnwise: bool) -> tuple[int, int]:
    """Elements from a code to the next along a line, and from a line to the next, of an NHWC image."""
    pixel, row = shape[3], shape[2] * shape[3]
    return (row, pixel) if columnwise else (pixel, row)


def _planes(op: DepthwiseConv2D, layout: Layout) -> str:
    source = op.input_tensor(0)
    step, line_step = _steps(source.shape, layout.columnwise)
    text = c_shape(
        "tg_planes",
        lines=layout.plane_lines,
        pitch=layout.pitch,
        before=layout.along.before,
        line=layout.across.input,
        size=min(layout.along.input, layout.pitch - layout.along.before),
        line_step=line_step,
        step=step,
        zero_point=source.zero_point,
    )
    return text.replace(" shape = {", " planes = {")


def _window(op: DepthwiseConv2D, layout: Layout) -> str:
    step, line_step = _steps(op.outputs[0].shape, layout.columnwise)
    text = c_shape(
        "tg_depthwise_3x3",
        stride=layout.along.stride,
        pitch=layout.pitch,
        line_advance=layout.across.stride * layout.pitch,
        outputs=layout.along.output,
        step=step,
        line_step=line_step,
        unroll=_unroll(layout.along.output // 2, step),
    )
    return text.replace(" shape = {", " window = {")


def _unroll(pairs: int, step: int) -> int:
    """Pairs of outputs in one pass of the loop: a divisor, as far as the stores' offsets reach."""
    able = [n for n in range(2, _MOST_UNROLLED + 1) if pairs % n == 0 and (step < 256 or 2 * n * step < 4096)]
    return max(able, default=1)
