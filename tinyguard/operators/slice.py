# SPDX-License-Identifier: Apache-2.0
"""SLICE and STRIDED_SLICE. Source: TFLite `reference/slice.h`, `strided_slice.cc`,
`internal/strided_slice_logic.h`.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.families.moving import Index, Move, Moving, at


class Slice(Moving):
    """A block from `begin`, of `size` elements per axis; a size of -1 is all there is."""

    names: ClassVar = ("SLICE",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_movable(source, output)
        begin = [int(n) for n in self.constant_input(1).reshape(-1)]
        size = [int(n) for n in self.constant_input(2).reshape(-1)]
        rank = len(source.shape)
        self.require(len(begin) == rank == len(size), f"begin {begin} and size {size} for rank {rank}")
        size = [
            whole - first if n == -1 else n for first, n, whole in zip(begin, size, source.shape, strict=True)
        ]
        for first, n, whole in zip(begin, size, source.shape, strict=True):
            self.require(
                first >= 0 and 0 < n <= whole - first, f"begin {begin} and size {size} leave the input"
            )
        self.require_shape(output, tuple(size))
        where = (slice(first, first + n) for first, n in zip(begin, size, strict=True))
        self.moves = (Move(0, 0, take=at(*where)),)


class StridedSlice(Moving):
    """NumPy's basic indexing spelled in masks: bit i of a mask is about entry i of begin/end/strides."""

    names: ClassVar = ("STRIDED_SLICE",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_movable(source, output)
        take = at(*self._indices(source.shape))
        self.moves = (Move(0, 0, take),)
        shape = take(np.empty((1, *source.shape), np.int8)).shape[1:]
        self.require(0 not in shape, f"an empty slice of {source.shape}")
        self.require_shape(output, shape)

    def _indices(self, shape: tuple[int, ...]) -> list[Index]:
        """One index per axis of the input, and None where a new axis appears."""
        begin, end, strides = ([int(n) for n in self.constant_input(k).reshape(-1)] for k in (1, 2, 3))
        self.require(len(begin) == len(end) == len(strides), "begin, end and strides of different lengths")
        new_axes, ellipses = self.option("new_axis_mask", 0), self.option("ellipsis_mask", 0)
        entries = range(len(begin))
        named = sum(not (new_axes | ellipses) >> i & 1 for i in entries)
        self.require(named <= len(shape), f"{named} indices for rank {len(shape)}")
        self.require(sum(ellipses >> i & 1 for i in entries) <= 1, "several ellipses")
        indices: list[Index] = []
        axis = 0
        for i in entries:
            if ellipses >> i & 1:
                skipped = len(shape) - axis - sum(not (new_axes >> k & 1) for k in entries if k > i)
                self.require(skipped > 0, "an ellipsis over no axis, which TFLite takes for one")
                indices += [slice(None)] * skipped
                axis += skipped
            elif new_axes >> i & 1:
                indices.append(None)
            else:
                indices.append(self._index(i, shape[axis], begin[i], end[i], strides[i]))
                axis += 1
        return indices

    def _index(self, i: int, size: int, begin: int, end: int, stride: int) -> Index:
        def masked(name: str) -> bool:
            return bool(self.option(name, 0) >> i & 1)

        self.require(stride != 0, "a stride of 0")
        if masked("shrink_axis_mask"):
            first = 0 if masked("begin_mask") else begin
            self.require(stride > 0 and -size <= first < size, f"index {first} of an axis of {size}")
            return first
        # The reference's StartForAxis and EndForAxis: ends are clamped, then the masks count.
        low, high = (0, size) if stride > 0 else (-1, size - 1)
        first = min(max(begin + size if begin < 0 else begin, low), high)
        if masked("begin_mask"):
            first = low if stride > 0 else high
        if self.option("offset", False):
            end += first
        last = min(max(end + size if end < 0 else end, low), high)
        if masked("end_mask"):
            last = high if stride > 0 else low
        return slice(first, None if last < 0 else last, stride)
