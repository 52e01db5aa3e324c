# SPDX-License-Identifier: Apache-2.0
"""CONV_2D and DEPTHWISE_CONV_2D by arm_convolve_wrapper_s8 and arm_depthwise_conv_wrapper_s8."""

from typing import Any, ClassVar

from tinyguard.kernels.cmsis_nn import _call, scratch
from tinyguard.operators import Emission, Target


def _parameters(kind: str, operator: Any, source: Any, extra: tuple[str, ...] = ()) -> str:
    rows, columns = operator.rows, operator.columns
    fields = [
        f".input_offset = {-source.zero_point}",
        f".output_offset = {operator.outputs[0].zero_point}",
        *extra,
        *_call.window(rows, columns, operator.low, operator.high),
        f".dilation = {{.w = {columns.dilation}, .h = {rows.dilation}}}",
    ]
    return _call.struct(kind, "parameters", fields)


def _emit(
    kernel: _call.CmsisNNKernel,
    operator: Any,
    c: Emission,
    parameters: str,
    filter_dims: str,
    call: str,
    after_bias: str = "",
) -> str:
    """Both functions take the same arguments but for the type of their parameters."""
    source, output = operator.input_tensor(0), operator.outputs[0]
    c.kernel(_call.HEADER)
    weights = c.constant("weights", operator.weights)
    bias = _call.bias(operator, c)
    multipliers, shifts = _call.channel_parameters(operator, c)
    return "\n".join(
        (
            parameters,
            _call.image_dims("input_dims", source.shape),
            filter_dims,
            _call.dims("bias_dims", 1, 1, 1, output.shape[3]),
            _call.image_dims("output_dims", output.shape),
            f"const cmsis_nn_per_channel_quant_params scale = {{{multipliers}, {shifts}}};",
            _call.scratch_context(kernel, operator, c),
            f"(void){call}(&context, &parameters, &scale, &input_dims, {c.input(0)}, &filter_dims,",
            f"    {weights}, &bias_dims, {bias}, {after_bias}&output_dims, {c.output()});",
        )
    )


class Convolve(_call.CmsisNNKernel):
    """arm_convolve_wrapper_s8; arm_convolve_s8 for rows that the wrapper's path for them gets wrong."""

    name: ClassVar = "cmsis-nn convolve"
    operators: ClassVar = ("CONV_2D",)

    def supports(self, operator: Any, target: Target) -> bool:
        return bool(operator.outputs[0].dtype == "int8")

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        rows, columns, groups = operator.rows, operator.columns, operator.groups
        channels = operator.input_tensor(0).shape[3]
        if self._avoids_wrapper(operator, target):
            return scratch.convolve_patches(rows.kernel * columns.kernel * channels, target.isa)
        return scratch.convolve(rows, columns, channels, groups, target.isa)

    def emit(self, operator: Any, c: Emission) -> str:
        channels, height, width, depth = operator.weights.shape
        direct = self._avoids_wrapper(operator, c.target)
        return _emit(
            self,
            operator,
            c,
            _parameters("cmsis_nn_conv_params", operator, operator.input_tensor(0)),
            _call.dims("filter_dims", channels, height, width, depth),
            "arm_convolve_s8" if direct else "arm_convolve_wrapper_s8",
            after_bias="0, " if direct else "",  # no upscaling
        )

    @staticmethod
    def _avoids_wrapper(operator: Any, target: Target) -> bool:
        rows, columns, groups = operator.rows, operator.columns, operator.groups
        if target.isa != "mve" or scratch.is_1x1(rows, columns, groups):
            return False
        channels = operator.input_tensor(0).shape[3]
        return scratch.is_1xn(rows, columns, channels, groups) and not scratch.row_is_exact(columns)


class DepthwiseConvolve(_call.CmsisNNKernel):
    """arm_depthwise_conv_wrapper_s8."""

    name: ClassVar = "cmsis-nn depthwise"
    operators: ClassVar = ("DEPTHWISE_CONV_2D",)

    def supports(self, operator: Any, target: Target) -> bool:
        if operator.outputs[0].dtype != "int8":
            return False
        rows, columns = operator.rows, operator.columns
        channels = operator.input_tensor(0).shape[3]
        converted = target.isa == "mve" and channels == 1 and operator.multiplier > 1
        return not (converted and scratch.is_1xn(rows, columns, 1, 1) and not scratch.row_is_exact(columns))

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        source, output = operator.input_tensor(0).shape, operator.outputs[0].shape
        return scratch.depthwise(operator.rows, operator.columns, source[0], source[3], output[3], target.isa)

    def emit(self, operator: Any, c: Emission) -> str:
        _, height, width, channels = operator.weights.shape
        return _emit(
            self,
            operator,
            c,
            _parameters(
                "cmsis_nn_dw_conv_params",
                operator,
                operator.input_tensor(0),
                (f".ch_mult = {operator.multiplier}",),
            ),
            _call.dims("filter_dims", 1, height, width, channels),
            "arm_depthwise_conv_wrapper_s8",
        )
