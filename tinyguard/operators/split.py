# SPDX-License-Identifier: Apache-2.0
"""SPLIT, SPLIT_V and UNPACK. Source: TFLite `split.cc`, `split_v.cc`, `unpack.cc`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.graph import Tensor
from tinyguard.operators.families.moving import Move, Moving, along


class Parting(Moving):
    """Output i is part i of one input along an axis."""

    source_index: ClassVar[int] = 0

    def prepare_parts(self, source: Tensor, axis: int, sizes: list[int]) -> None:
        self.require_movable(source, *self.outputs)
        self.require(len(sizes) == len(self.outputs), f"{len(sizes)} parts for {len(self.outputs)} outputs")
        self.require(sum(sizes) == source.shape[axis], f"parts of {sizes} from axis {axis} of {source.shape}")
        moves, start = [], 0
        for target, (size, output) in enumerate(zip(sizes, self.outputs, strict=True)):
            self.require_shape(output, (*source.shape[:axis], size, *source.shape[axis + 1 :]))
            moves.append(Move(self.source_index, target, take=along(axis, slice(start, start + size))))
            start += size
        self.moves = tuple(moves)


class Split(Parting):
    """Equal parts; the axis is input 0."""

    names: ClassVar = ("SPLIT",)
    source_index: ClassVar = 1

    def prepare(self) -> None:
        source = self.input_tensor(1)
        axis = self.axis_of(_one(self.constant_input(0)), len(source.shape))
        parts = self.option("num_splits", len(self.outputs))
        self.require(parts > 0, f"{parts} parts")
        self.require(source.shape[axis] % parts == 0, f"{parts} parts of an axis of {source.shape[axis]}")
        self.prepare_parts(source, axis, [source.shape[axis] // parts] * parts)


class SplitV(Parting):
    """Parts of given sizes, one of which may be -1: the rest. Inputs: data, sizes, axis."""

    names: ClassVar = ("SPLIT_V",)

    def prepare(self) -> None:
        source = self.input_tensor(0)
        axis = self.axis_of(_one(self.constant_input(2)), len(source.shape))
        sizes = [int(n) for n in self.constant_input(1).reshape(-1)]
        self.require(sizes.count(-1) <= 1, f"sizes {sizes} with several open ones")
        rest = source.shape[axis] - sum(n for n in sizes if n != -1)
        sizes = [rest if n == -1 else n for n in sizes]
        self.require(all(n > 0 for n in sizes), f"parts of {sizes} from an axis of {source.shape[axis]}")
        self.prepare_parts(source, axis, sizes)


class Unpack(Parting):
    """One output for each position along an axis, which disappears."""

    names: ClassVar = ("UNPACK",)

    def prepare(self) -> None:
        source = self.input_tensor(0)
        axis = self.axis_of(self.option("axis", 0), len(source.shape))
        self.require_movable(source, *self.outputs)
        self.require(
            len(self.outputs) == source.shape[axis],
            f"{len(self.outputs)} outputs from an axis of {source.shape[axis]}",
        )
        for output in self.outputs:
            self.require_shape(output, (*source.shape[:axis], *source.shape[axis + 1 :]))
        self.moves = tuple(Move(0, target, take=along(axis, target)) for target in range(len(self.outputs)))


def _one(values: np.ndarray) -> int:
    return int(values.reshape(-1)[0])
