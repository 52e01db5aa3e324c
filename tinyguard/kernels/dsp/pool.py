# SPDX-License-Identifier: Apache-2.0
"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN over pixels, four channels at a time."""

from __future__ import annotations

from typing import Any, ClassVar

from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Target
from tinyguard.operators.base import c_shape
from tinyguard.operators.families import window
from tinyguard.operators.mean import Mean


class Pool(Kernel):
    """Sums in 16-bit lanes, or SSUB8 and SEL for the largest."""

    name: ClassVar = "dsp pool"
    operators: ClassVar = ("AVERAGE_POOL_2D", "MAX_POOL_2D")

    def supports(self, operator: Any, target: Target) -> bool:
        return operator.outputs[0].dtype == "int8" and operator.outputs[0].shape[3] >= 4

    def cost(self, operator: Any, target: Target) -> Cost:
        output = operator.outputs[0]
        taps = operator.rows.kernel * operator.columns.kernel
        pixels = output.elements / output.shape[3]
        return _cost(output.elements * (1.3 * taps + 14) + 20 * pixels, output.elements)

    def emit(self, operator: Any, c: Emission) -> str:
        source, output = operator.input_tensor(0), operator.outputs[0]
        c.kernel("dsp/pool.h")
        shape = c_shape(
            "tg_pool_2d_shape",
            batches=source.shape[0],
            input_height=source.shape[1],
            input_width=source.shape[2],
            channels=source.shape[3],
            output_height=output.shape[1],
            output_width=output.shape[2],
            **window.fields(operator.rows, operator.columns),
            low=operator.low,
            high=operator.high,
        )
        kind = "average" if operator.node.operator == "AVERAGE_POOL_2D" else "max"
        return f"{shape}\ntg_{kind}_pool_4_s8(&shape, {c.input(0)}, {c.output()});"


class PixelMean(Kernel):
    """The mean over all pixels of one image, one code per channel."""

    name: ClassVar = "dsp mean"
    operators: ClassVar = ("MEAN",)

    def supports(self, operator: Any, target: Target) -> bool:
        return operator.outputs[0].dtype == "int8" and _pixels(operator) is not None

    def cost(self, operator: Any, target: Target) -> Cost:
        outputs = operator.outputs[0].elements
        return _cost(1.1 * operator.input_tensor(0).elements + 18.0 * outputs, outputs)

    def emit(self, operator: Any, c: Emission) -> str:
        pixels, channels = _pixels(operator) or (0, 0)
        c.kernel("dsp/pool.h")
        shape = c_shape(
            "tg_pixel_mean",
            pixels=pixels,
            channels=channels,
            sum_offset=-operator.input_tensor(0).zero_point * operator.reduction.count,
            multiplier=operator.multiplier,
            shift=operator.shift,
            output_offset=operator.outputs[0].zero_point,
        )
        return f"{shape}\ntg_pixel_mean_s8(&shape, {c.input(0)}, {c.output()});"


def _cost(instructions: float, outputs: int) -> Cost:
    """Never above the portable kernel's estimate, which counts outputs and not what they are made of."""
    return Cost(min(instructions, 29.0 * outputs), 0)


def _pixels(op: Mean) -> tuple[int, int] | None:
    """Pixels and channels, where pixels are averaged and channels kept."""
    kept, reduced = op.reduction.kept, op.reduction.reduced
    if len(kept) != 1 or len(reduced) != 1:
        return None
    channels, pixels = kept[0][0], reduced[0][0]
    plain = kept[0][1] == 1 and reduced[0][1] == channels and channels >= 4
    return (pixels, channels) if plain else None
