# SPDX-License-Identifier: Apache-2.0
"""RESHAPE, SQUEEZE and EXPAND_DIMS: the same bytes under another shape."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.graph import DTYPE_BYTES
from tinyguard.operators.base import Emission
from tinyguard.operators.families.moving import Moving


class Reshape(Moving):
    """Views under the output tensor's shape; a shape or axis argument must be a constant."""

    names: ClassVar = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_movable(source, output)
        self.require(
            source.elements == output.elements, f"{source.elements} elements to shape {output.shape}"
        )
        if len(self.inputs) > 1 and self.inputs[1] is not None:
            self.constant_input(1)

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        return (x.reshape(len(x), *self.outputs[0].shape),)

    @property
    def is_view(self) -> bool:
        return True

    def emit(self, c: Emission) -> str:
        c.kernel("move.h")
        size = self.outputs[0].elements * DTYPE_BYTES[self.outputs[0].dtype]
        return f"memmove({c.output()}, {c.input(0)}, {size});"
