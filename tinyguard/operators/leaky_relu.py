# SPDX-License-Identifier: Apache-2.0
"""LEAKY_RELU. Source: TFLite `reference/leaky_relu.h`, `kernels/activations.cc`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import CODE_RANGE
from tinyguard.operators.families.unary import Rescaled


class LeakyRelu(Rescaled):
    """x where x >= 0 and alpha * x elsewhere, alpha >= 0; int8 and int16."""

    names: ClassVar = ("LEAKY_RELU",)

    def prepare(self) -> None:
        self.prepare_unary()
        source, output = self.input_tensor(0), self.outputs[0]
        alpha = np.float32(self.option("alpha", 0.0))
        self.require(bool(alpha >= 0), f"alpha {alpha:g}, where runtimes disagree; 0 or above is needed")
        self.alpha = float(alpha)
        # TFLite multiplies and divides in float32.
        slope = np.float32(source.scale) * alpha / np.float32(output.scale)
        self.prepare_multipliers(np.float32(source.scale) / np.float32(output.scale), slope)
        self.low, self.high = CODE_RANGE[output.dtype]
        self.prepare_table()
