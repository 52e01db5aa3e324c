# SPDX-License-Identifier: Apache-2.0
"""ABS. Source: TFLite `kernels/elementwise.cc`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import CODE_RANGE
from tinyguard.operators.families.unary import Rescaled


class Abs(Rescaled):
    """Distance from zero, on the output's scale; int8 and int16."""

    names: ClassVar = ("ABS",)
    negate = True

    def prepare(self) -> None:
        self.prepare_unary()
        source, output = self.input_tensor(0), self.outputs[0]
        ratio = np.float32(source.scale) / np.float32(output.scale)  # 1 multiplies exactly
        self.prepare_multipliers(ratio, ratio)
        self.low, self.high = CODE_RANGE[output.dtype]
        self.prepare_table()
