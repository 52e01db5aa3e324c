# SPDX-License-Identifier: Apache-2.0
"""FULLY_CONNECTED in MVE."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.kernels.mve._requantize import folded_bias
from tinyguard.operators import Emission, Target
from tinyguard.operators.base import c_shape


class FullyConnected(Kernel):
    """Rows of int8 codes, any depth and number of channels."""

    name: ClassVar = "mve fully connected"
    operators: ClassVar = ("FULLY_CONNECTED",)

    def supports(self, operator: Any, target: Target) -> bool:
        return bool(operator.outputs[0].dtype == "int8")

    def cost(self, operator: Any, target: Target) -> Cost:
        groups, vectors = -(-operator.channels // 4), -(-operator.depth // 16)
        return Cost(operator.batches * groups * (10.0 * vectors + 35) + 20, groups * 64 * (vectors + 1), 250)

    def emit(self, operator: Any, c: Emission) -> str:
        channels, depth = operator.channels, operator.depth
        groups, vectors = -(-channels // 4), -(-depth // 16)
        rows = np.zeros((groups * 4, vectors * 16), np.int8)
        rows[:channels, :depth] = operator.weights
        weights = rows.reshape(groups, 4, vectors, 16).transpose(0, 2, 1, 3)
        sums = operator.weights.sum(axis=1, dtype=np.int64)
        bias = folded_bias(operator.bias, sums, operator.input_tensor(0).zero_point)
        shifts = operator.shifts.astype(np.int64)
        constants = np.zeros((4, groups * 4), np.int32)
        constants[:, :channels] = bias, operator.multipliers, np.minimum(shifts, 0), np.maximum(shifts, 0)
        c.kernel("mve/fully_connected.h")
        shape = c_shape(
            "tg_mve_fully_connected_shape",
            batches=operator.batches,
            input_channels=depth,
            output_channels=channels,
            left_shift=int((shifts > 0).any()),
            output_offset=operator.outputs[0].zero_point,
            low=operator.low,
            high=operator.high,
        )
        names = (
            c.constant("weights", weights, "groups of four channels: 16 codes of each in turn"),
            c.constant(
                "channels",
                constants.reshape(4, groups, 4).transpose(1, 0, 2),
                "four channels per row\nwords 0-3: biases\nwords 4-7: multipliers\n"
                "words 8-11: right shifts (at most 0)\nwords 12-15: left shifts",
            ),
        )
        arguments = ", ".join((c.input(0), *names, c.output()))
        return f"{shape}\ntg_mve_fully_connected_s8(&shape, {arguments});"
