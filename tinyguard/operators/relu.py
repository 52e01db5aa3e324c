# SPDX-License-Identifier: Apache-2.0
"""RELU, RELU6, RELU_N1_TO_1 and RELU_0_TO_1 standing alone, with a rescale.

Source: TFLite `kernels/activations.cc`.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic.tables import round_half_away
from tinyguard.operators.base import CODE_RANGE
from tinyguard.operators.families.unary import Rescaled

_BOUNDS = {"RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}


class Relu(Rescaled):
    """Requantization to the output's scale, clamped to the real bounds; int8, RELU and RELU6 also int16."""

    names: ClassVar = tuple(_BOUNDS)

    def prepare(self) -> None:
        self.prepare_unary()
        source, output, name = self.input_tensor(0), self.outputs[0], self.node.operator
        self.require(source.dtype == "int8" or name in ("RELU", "RELU6"), f"{source.dtype}, int8 is needed")
        ratio = np.float32(source.scale) / np.float32(output.scale)
        self.prepare_multipliers(ratio, ratio)
        least, greatest = CODE_RANGE[output.dtype]
        lowest, highest = _BOUNDS[name]
        self.low = max(least, self._code(lowest))
        self.high = greatest if highest is None else min(greatest, self._code(highest))
        self.require(self.low <= self.high, "bounds outside the output's range")
        self.prepare_table()

    def _code(self, real: float) -> int:
        output = self.outputs[0]
        steps = float(round_half_away(np.asarray(np.float32(real) / np.float32(output.scale))))
        self.require(abs(steps) < 2**31 - 256, f"output scale {output.scale:g} too small for the bounds")
        return output.zero_point + int(steps)
