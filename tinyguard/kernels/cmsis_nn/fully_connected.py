# SPDX-License-Identifier: Apache-2.0
"""FULLY_CONNECTED by arm_fully_connected_s8 or arm_fully_connected_per_channel_s8."""

from typing import Any, ClassVar

import numpy as np

from tinyguard.kernels.cmsis_nn import _call
from tinyguard.operators import Emission, Target


class FullyConnectedCall(_call.CmsisNNKernel):
    """The two functions that arm_fully_connected_wrapper_s8 picks from; which one is known at generation."""

    name: ClassVar = "cmsis-nn fully connected"
    operators: ClassVar = ("FULLY_CONNECTED",)

    def supports(self, operator: Any, target: Target) -> bool:
        return bool(operator.outputs[0].dtype == "int8")

    def emit(self, operator: Any, c: Emission) -> str:
        source, output = operator.input_tensor(0), operator.outputs[0]
        c.kernel(_call.HEADER)
        weights = c.constant("weights", operator.weights, "output channel, input channel")
        fields = [
            f".input_offset = {-source.zero_point}",
            ".filter_offset = 0",
            f".output_offset = {output.zero_point}",
            f".activation = {{.min = {operator.low}, .max = {operator.high}}}",
        ]
        bias, buffer = self._sums(operator, c)
        function, scale = self._scale(operator, c)
        return "\n".join(
            (
                _call.struct("cmsis_nn_fc_params", "parameters", fields),
                _call.dims("input_dims", operator.batches, 1, 1, operator.depth),
                _call.dims("filter_dims", operator.depth, 1, 1, operator.channels),
                _call.dims("bias_dims", 1, 1, 1, operator.channels),
                _call.dims("output_dims", operator.batches, 1, 1, operator.channels),
                scale,
                buffer,
                f"(void){function}(&context, &parameters, &scale, &input_dims, {c.input(0)}, &filter_dims,",
                f"    {weights}, &bias_dims, {bias}, &output_dims, {c.output()});",
            )
        )

    @staticmethod
    def _sums(operator: Any, c: Emission) -> tuple[str, str]:
        """The bias, and the context: with MVE the sums of arm_vector_sum_s8, which hold the bias."""
        if c.target.isa != "mve":
            return _call.bias(operator, c), _call.context("0", 0)
        offset = -operator.input_tensor(0).zero_point
        sums = operator.bias + offset * operator.weights.astype(np.int64).sum(axis=1)
        wrapped = (sums & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
        name = c.constant("sums", wrapped, "bias less input zero point times sum of weights")
        return "0", _call.context(f"(void *)(uintptr_t){name}", 4 * operator.channels)

    @staticmethod
    def _scale(operator: Any, c: Emission) -> tuple[str, str]:
        quantization = operator.input_tensor(1).quantization
        if quantization.per_channel:
            multipliers, shifts = _call.channel_parameters(operator, c)
            declaration = f"const cmsis_nn_per_channel_quant_params scale = {{{multipliers}, {shifts}}};"
            return "arm_fully_connected_per_channel_s8", declaration
        first = f"{{{operator.multipliers[0]}, {operator.shifts[0]}}}"
        declaration = f"static const cmsis_nn_per_tensor_quant_params scale = {first};"
        return "arm_fully_connected_s8", declaration
