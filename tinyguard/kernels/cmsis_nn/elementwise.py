# SPDX-License-Identifier: Apache-2.0
"""ADD and MUL of equal shapes by arm_elementwise_add_s8 and arm_elementwise_mul_s8."""

from typing import Any, ClassVar

from tinyguard.kernels.cmsis_nn import _call
from tinyguard.operators import Emission, Target


def _same_shape(operator: Any) -> bool:
    """int8 operands that are walked together, element by element."""
    rows = operator.rows
    return bool(operator.outputs[0].dtype == "int8" and rows.a == rows.b == (1,))


class AddCall(_call.CmsisNNKernel):
    """arm_elementwise_add_s8."""

    name: ClassVar = "cmsis-nn add"
    operators: ClassVar = ("ADD",)

    def supports(self, operator: Any, target: Target) -> bool:
        return _same_shape(operator)

    def emit(self, operator: Any, c: Emission) -> str:
        c.kernel(_call.HEADER)
        a, b, output = operator.input_tensor(0), operator.input_tensor(1), operator.outputs[0]
        first, second = operator.multipliers
        last = operator.output_multiplier
        return "\n".join(
            (
                f"(void)arm_elementwise_add_s8({c.input(0)}, {c.input(1)},",
                f"    {-a.zero_point}, {first.value}, {first.shift},",
                f"    {-b.zero_point}, {second.value}, {second.shift}, {operator.left_shift}, {c.output()},",
                f"    {output.zero_point}, {last.value}, {last.shift}, {operator.low}, {operator.high},",
                f"    {output.elements});",
            )
        )


class MulCall(_call.CmsisNNKernel):
    """arm_elementwise_mul_s8."""

    name: ClassVar = "cmsis-nn mul"
    operators: ClassVar = ("MUL",)

    def supports(self, operator: Any, target: Target) -> bool:
        return _same_shape(operator)

    def emit(self, operator: Any, c: Emission) -> str:
        c.kernel(_call.HEADER)
        a, b, output = operator.input_tensor(0), operator.input_tensor(1), operator.outputs[0]
        scale = operator.multiplier
        return "\n".join(
            (
                f"(void)arm_elementwise_mul_s8({c.input(0)}, {c.input(1)},",
                f"    {-a.zero_point}, {-b.zero_point}, {c.output()},",
                f"    {output.zero_point}, {scale.value}, {scale.shift}, {operator.low}, {operator.high},",
                f"    {output.elements});",
            )
        )
