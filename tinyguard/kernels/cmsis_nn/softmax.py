# SPDX-License-Identifier: Apache-2.0
"""SOFTMAX by arm_softmax_s8."""

import math
from typing import Any, ClassVar

from tinyguard.arithmetic import fixed_point
from tinyguard.kernels.cmsis_nn import _call
from tinyguard.operators import Emission, Target

_DIFFERENCE_BITS = 5  # integer bits of a scaled difference
_LARGEST_DEPTH = 511  # a larger sum of exponentials shifts by 32, which C leaves undefined


class SoftmaxCall(_call.CmsisNNKernel):
    """arm_softmax_s8: exponentials by polynomial, where ours reads a table."""

    name: ClassVar = "cmsis-nn softmax"
    operators: ClassVar = ("SOFTMAX",)

    def supports(self, operator: Any, target: Target) -> bool:
        if operator.outputs[0].dtype != "int8" or operator.depth > _LARGEST_DEPTH:
            return False
        return 0 <= self._multiplier(operator).shift <= 30

    def emit(self, operator: Any, c: Emission) -> str:
        c.kernel(_call.HEADER)
        multiplier = self._multiplier(operator)
        rows = operator.outputs[0].elements // max(1, operator.depth)
        reach = (2**_DIFFERENCE_BITS - 1) * (1 << (31 - _DIFFERENCE_BITS)) / (1 << multiplier.shift)
        scale = f"{multiplier.value}, {multiplier.shift}, {-math.floor(reach)}"
        return f"arm_softmax_s8({c.input(0)}, {rows}, {operator.depth}, {scale}, {c.output()});"

    @staticmethod
    def _multiplier(operator: Any) -> fixed_point.Multiplier:
        """TFLite's PreprocessSoftmaxScaling."""
        real = operator.beta * operator.input_tensor(0).scale * (1 << (31 - _DIFFERENCE_BITS))
        return fixed_point.quantize_multiplier(min(real, 2.0**31 - 1))
