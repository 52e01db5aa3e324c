# SPDX-License-Identifier: Apache-2.0
"""AVERAGE_POOL_2D and MAX_POOL_2D by arm_avgpool_s8 and arm_max_pool_s8."""

from typing import Any, ClassVar

from tinyguard.kernels.cmsis_nn import _call, scratch
from tinyguard.operators import Emission, Target


class _Pool(_call.CmsisNNKernel):
    function: ClassVar[str]

    def supports(self, operator: Any, target: Target) -> bool:
        return bool(operator.outputs[0].dtype == "int8")

    def emit(self, operator: Any, c: Emission) -> str:
        source, output = operator.input_tensor(0), operator.outputs[0]
        c.kernel(_call.HEADER)
        window = _call.window(operator.rows, operator.columns, operator.low, operator.high)
        return "\n".join(
            (
                _call.struct("cmsis_nn_pool_params", "parameters", window),
                _call.image_dims("input_dims", source.shape),
                _call.dims("filter_dims", 1, operator.rows.kernel, operator.columns.kernel, 1),
                _call.image_dims("output_dims", output.shape),
                _call.scratch_context(self, operator, c),
                f"(void){self.function}(&context, &parameters, &input_dims, {c.input(0)}, &filter_dims,",
                f"    &output_dims, {c.output()});",
            )
        )


class AveragePoolCall(_Pool):
    """arm_avgpool_s8."""

    name: ClassVar = "cmsis-nn average pool"
    operators: ClassVar = ("AVERAGE_POOL_2D",)
    function: ClassVar = "arm_avgpool_s8"

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        return scratch.average_pool(operator.outputs[0].shape[3], target.isa)


class MaxPoolCall(_Pool):
    """arm_max_pool_s8."""

    name: ClassVar = "cmsis-nn max pool"
    operators: ClassVar = ("MAX_POOL_2D",)
    function: ClassVar = "arm_max_pool_s8"
