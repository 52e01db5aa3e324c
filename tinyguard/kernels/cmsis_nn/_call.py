# SPDX-License-Identifier: Apache-2.0
"""What the calls of CMSIS-NN have in common: its structs printed as C, and a coarse estimate of cost."""

from typing import Any

import numpy as np

from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Target
from tinyguard.operators.families.accumulating import Accumulating
from tinyguard.operators.families.window import Axis

HEADER = "cmsis_nn.h"
_INSTRUCTIONS_A_MAC = {"portable": 6.0, "dsp": 2.5, "mve": 0.6}
_INSTRUCTIONS_AN_ELEMENT = 30.0


class CmsisNNKernel(Kernel):
    """Base of the kernels that call the library: int8 only."""

    def cost(self, operator: Any, target: Target) -> Cost:
        elements = sum(output.elements for output in operator.outputs)
        instructions = operator.macs * _INSTRUCTIONS_A_MAC[target.isa] + elements * _INSTRUCTIONS_AN_ELEMENT
        constants = sum(t.size_bytes for t in operator.inputs if t is not None and t.is_constant)
        return Cost(instructions, constants)


def dims(name: str, n: int, h: int, w: int, c: int) -> str:
    """C declaration of a `cmsis_nn_dims`."""
    return f"static const cmsis_nn_dims {name} = {{.n = {n}, .h = {h}, .w = {w}, .c = {c}}};"


def image_dims(name: str, shape: tuple[int, ...]) -> str:
    """The same of an NHWC shape."""
    return dims(name, *shape)


def context(buffer: str, size: int) -> str:
    """C declaration of the `cmsis_nn_context` named `context`; `buffer` a C expression, a `void *`."""
    return f"const cmsis_nn_context context = {{{buffer}, {size}}};"


def scratch_context(kernel: Kernel, operator: Any, c: Emission) -> str:
    """A context on the scratch that the kernel asks for."""
    size = kernel.scratch_bytes(operator, c.target)
    return context(c.scratch() if size else "0", size)


def window(rows: Axis, columns: Axis, low: int, high: int) -> list[str]:
    """Fields that the parameters of convolutions and pooling share, for designated initializers."""
    return [
        f".stride = {{.w = {columns.stride}, .h = {rows.stride}}}",
        f".padding = {{.w = {columns.before}, .h = {rows.before}}}",
        f".activation = {{.min = {low}, .max = {high}}}",
    ]


def struct(kind: str, name: str, fields: list[str]) -> str:
    """C declaration of a constant struct."""
    return f"static const {kind} {name} = {{\n    " + ",\n    ".join(fields) + ",\n};"


def channel_parameters(operator: Accumulating, c: Emission) -> tuple[str, str]:
    """C names of the requantization's multipliers and shifts, int32 as the library wants them."""
    multipliers = c.constant("multipliers", operator.multipliers.astype(np.int32), "times 2^(shift - 31)")
    shifts = c.constant("wide_shifts", operator.shifts.astype(np.int32), "positive is to the left")
    return f"(int32_t *)(uintptr_t){multipliers}", f"(int32_t *)(uintptr_t){shifts}"


def bias(operator: Accumulating, c: Emission) -> str:
    """C name of the bias."""
    return c.constant("bias", operator.bias.astype(np.int32), "accumulator units")
