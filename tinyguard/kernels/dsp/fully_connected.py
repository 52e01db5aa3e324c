# SPDX-License-Identifier: Apache-2.0
"""FULLY_CONNECTED on the SMLAD family: four channels per pass, two of them in each word of weights."""

from typing import Any, ClassVar

import numpy as np

from tinyguard.kernels.dsp.scaling import Scaling, scaling
from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Target
from tinyguard.operators.base import c_shape

_FIRST_SUM_LIMIT = 2**23  # what is left of 32 bits above the second channel's 8


class DspFullyConnected(Kernel):
    """Reads every weight once, int8 in flash; activations widened once."""

    name: ClassVar = "dsp dot 4"
    operators: ClassVar = ("FULLY_CONNECTED",)

    def supports(self, operator: Any, target: Target) -> bool:
        if operator.outputs[0].dtype != "int8":
            return False
        scale = scaling(operator)
        return scale is not None and _packed(operator, scale) is not None

    def cost(self, operator: Any, target: Target) -> Cost:
        scale = scaling(operator)
        assert scale is not None
        quads, passes = -(-operator.depth // 4), -(-operator.channels // 4)
        record = 2 + 4 * quads + 4 * (1 + scale.parameters.shape[1])
        instructions = operator.batches * (passes * (14.3 * quads + 110) + 1.8 * operator.depth + 40)
        return Cost(instructions, 4 * passes * record, 100)

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        return -(-operator.depth // 4) * 8

    def emit(self, operator: Any, c: Emission) -> str:
        scale = scaling(operator)
        assert scale is not None
        packed = _packed(operator, scale)
        assert packed is not None
        c.kernel("dsp/fully_connected.h")
        weights = c.constant(
            "weights",
            _records(packed, scale),
            _row_words(packed, scale),
        )
        shape = c_shape(
            "tg_dsp_fully_connected_shape",
            batches=operator.batches,
            input_channels=operator.depth,
            output_channels=operator.channels,
            quads=-(-operator.depth // 4),
            input_offset=-operator.input_tensor(0).zero_point,
            wide=int(scale.wide),
            zero_point=operator.outputs[0].zero_point,
            low=operator.low,
            high=operator.high,
        )
        data = f"{c.input(0)}, (const uint32_t *){weights}, {c.output()}, (int16_t *){c.scratch()}"
        return f"{shape}\ntg_dsp_fully_connected(&shape, {data});"


def _row_words(packed: np.ndarray, scale: Scaling) -> str:
    """For a comment: where in a row of `_records` everything lies."""
    end = 2 + packed.shape[1]
    each = "left shift, multiplier, left shift, round, shift" if scale.wide else "multiplier, round, shift"
    last = end + 4 * (1 + scale.parameters.shape[1]) - 1
    return (
        "four channels per row\n"
        "words 0-1: biases of the second and the fourth\n"
        f"words 2-{end - 1}: weights, lanes of 16 bits, 256 * first + second channel, then the others\n"
        f"words {end}-{last}: of each channel what is added to its sum, {each}"
    )


def _packed(operator: Any, scale: Scaling) -> np.ndarray | None:
    """int16 lanes (pairs of channels, depth in whole quads), or None where a pair's sums could spill."""
    quads, passes = -(-operator.depth // 4), -(-operator.channels // 4)
    weights = np.zeros((4 * passes, 4 * quads), np.int64)
    weights[: operator.channels, : operator.depth] = np.where(scale.constant[:, None], 0, operator.weights)
    first, second = weights[0::2], weights[1::2]
    lanes = 256 * first + second
    source = operator.input_tensor(0)
    furthest = max(127 - source.zero_point, 128 + source.zero_point)
    fits = (np.abs(first).sum(axis=1) * furthest < _FIRST_SUM_LIMIT).all()
    return lanes.astype(np.int16) if fits and lanes.min() >= -(2**15) else None


def _records(packed: np.ndarray, scale: Scaling) -> np.ndarray:
    """int32 (passes, words) as dsp/fully_connected.h reads them."""
    passes = len(packed) // 2
    missing = 4 * passes - len(scale.bias)
    bias = np.concatenate([scale.bias, np.zeros(missing, np.int64)]).astype(np.int32).reshape(passes, 4)
    parameters = np.concatenate([scale.parameters, np.repeat(scale.parameters[-1:], missing, axis=0)])
    words = packed.reshape(passes, 2, -1, 4).transpose(0, 2, 1, 3)  # pass, quad, pair, code
    words = np.ascontiguousarray(words).astype("<i2").reshape(passes, -1).view("<i4")
    added = np.where([True, False, True, False], bias, 0)
    tail = np.concatenate([added[:, :, None], parameters.reshape(passes, 4, -1)], axis=2)
    return np.concatenate([bias[:, 1::2], words, tail.reshape(passes, -1)], axis=1).astype(np.int32)
