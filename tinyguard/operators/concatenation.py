# SPDX-License-Identifier: Apache-2.0
"""CONCATENATION and PACK. Source: TFLite `reference/concatenation.h`, `concatenation.cc`, `pack.cc`."""

from __future__ import annotations

from typing import ClassVar

from tinyguard.operators.families.moving import Move, Moving, along


class Concatenation(Moving):
    """Inputs side by side along an axis, all of the output's quantization, as TFLite demands."""

    names: ClassVar = ("CONCATENATION",)

    def prepare(self) -> None:
        output = self.outputs[0]
        sources = [self.input_tensor(i) for i in range(len(self.inputs))]
        self.require(len(sources) > 0, "no inputs")
        activation = self.option("fused_activation_function", "NONE")
        self.require(activation == "NONE", f"fused activation {activation}, which TFLite has not here either")
        self.require_movable(output, *sources)
        self.require_one_quantization(output, *sources)
        rank = len(output.shape)
        self.require(all(len(s.shape) == rank for s in sources), "inputs of different ranks")
        axis = self.axis_of(self.option("axis", 0), rank)
        length = sum(s.shape[axis] for s in sources)
        for source in sources:
            expected = (*source.shape[:axis], length, *source.shape[axis + 1 :])
            self.require_shape(output, expected)
        self.axis = axis + 1
        moves, start = [], 0
        for position, source in enumerate(sources):
            stop = start + source.shape[axis]
            moves.append(Move(position, 0, put=along(axis, slice(start, stop))))
            start = stop
        self.moves = tuple(moves)


class Pack(Moving):
    """Inputs stacked along a new axis, all of the output's quantization, as TFLite demands."""

    names: ClassVar = ("PACK",)

    def prepare(self) -> None:
        output = self.outputs[0]
        sources = [self.input_tensor(i) for i in range(len(self.inputs))]
        self.require(len(sources) > 0, "no inputs")
        self.require_movable(output, *sources)
        self.require_one_quantization(output, *sources)
        axis = self.axis_of(self.option("axis", 0), len(sources[0].shape) + 1)
        for source in sources:
            self.require_shape(output, (*source.shape[:axis], len(sources), *source.shape[axis:]))
        self.axis = axis + 1
        self.moves = tuple(Move(position, 0, put=along(axis, position)) for position in range(len(sources)))
