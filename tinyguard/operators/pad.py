# SPDX-License-Identifier: Apache-2.0
"""PAD and PADV2. Source: TFLite `reference/pad.h`, `pad.cc`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission
from tinyguard.operators.families.moving import Moving

_LOOPS = 5  # axes that tg_pad takes


class Pad(Moving):
    """Constant padding: the output's zero point (PAD), or a value in its codes (PADV2)."""

    names: ClassVar = ("PAD", "PADV2")

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_codes(source, output)
        rank = len(source.shape)
        paddings = self.constant_input(1)
        self.require(rank <= 5, f"rank {rank}, at most 5")
        self.require(paddings.size == 2 * rank, f"paddings of shape {paddings.shape} for rank {rank}")
        self.widths = [(int(before), int(after)) for before, after in paddings.reshape(rank, 2)]
        self.require(min(min(w) for w in self.widths) >= 0, f"negative paddings {self.widths}")
        self.require_shape(output, tuple(n + sum(w) for n, w in zip(source.shape, self.widths, strict=True)))
        self.fill = self._fill()

    def _fill(self) -> int:
        output = self.outputs[0]
        if self.node.operator == "PAD":
            return output.zero_point
        value = self.input_tensor(2)
        self.require(value.elements == 1, f"padding value of shape {value.shape}")
        self.require_one_quantization(output, value)
        return int(self.constant_input(2).reshape(-1)[0])

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        return (np.pad(x, [(0, 0), *self.widths], constant_values=self.fill),)

    def emit(self, c: Emission) -> str:
        c.kernel("pad.h")
        source, output = self.input_tensor(0), self.outputs[0]
        padded = [axis for axis, widths in enumerate(self.widths) if any(widths)]
        axes = range(padded[-1] + 1) if padded else range(0)  # the axes after these lie in one run
        inner = [int(np.prod(output.shape[axis + 1 :])) for axis in axes]
        sizes = list(source.shape[: len(axes)])
        run = sizes.pop() * inner[-1] if sizes else source.elements

        def numbers(values: list[int], count: int, filler: int) -> str:
            return "{" + ", ".join(str(v) for v in [filler] * (count - len(values)) + values) + "}"

        before = [self.widths[axis][0] * n for axis, n in zip(axes, inner, strict=True)]
        after = [self.widths[axis][1] * n for axis, n in zip(axes, inner, strict=True)]
        return "\n".join(
            (
                "static const tg_pad_shape shape = {",
                f"    .run = {run}, .size = {numbers(sizes, _LOOPS - 1, 1)},",
                f"    .before = {numbers(before, _LOOPS, 0)}, .after = {numbers(after, _LOOPS, 0)},",
                "};",
                f"tg_pad_{'s8' if source.dtype == 'int8' else 's16'}(&shape, {c.input(0)}, {self.fill}, "
                f"{c.output()});",
            )
        )
