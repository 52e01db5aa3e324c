# SPDX-License-Identifier: Apache-2.0
"""What the operators that only move codes share: blocks of one array copied into another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyguard.graph import DTYPE_BYTES, Tensor
from tinyguard.operators.base import Emission, Operator

Index = slice | int | None
View = Callable[[Any], Any]  # of an array of NumPy or of another library
_LOOPS = 6  # of tg_move
MOVABLE = ("int8", "int16", "float32")


@dataclass(frozen=True)
class Move:
    """Codes of input `source`, as `take` views it, go to output `target`, as `put` views it.

    `take` and `put` map an array (N, *tensor.shape) to a view of it; both views have one shape.
    """

    source: int
    target: int
    take: View = lambda x: x
    put: View = lambda x: x


@dataclass(frozen=True)
class Blocks:
    """A copy of `run` bytes that repeats: `sizes`, outermost first, with strides and offsets in bytes."""

    run: int
    sizes: tuple[int, ...]
    from_strides: tuple[int, ...]
    to_strides: tuple[int, ...]
    from_offset: int
    to_offset: int


def at(*index: Index) -> View:
    """The view at a basic index into the tensor's axes."""
    return lambda x: x[(slice(None), *index)]


def along(axis: int, index: Index) -> View:
    """The view at one index of one axis, the others whole."""
    return at(*(slice(None),) * axis, index)


class Moving(Operator):
    """Base of the operators that only move codes; `prepare` sets `moves`."""

    moves: tuple[Move, ...]

    def require_movable(self, *tensors: Tensor) -> None:
        """int8, int16 or float32, all of one type. Codes keep their values whatever the scales say."""
        for tensor in tensors:
            self.require(tensor.dtype in MOVABLE, f"{tensor.dtype} '{tensor.name}', int8 or int16 is needed")
            self.require(
                tensor.dtype == tensors[0].dtype, f"mixed types {tensors[0].dtype} and {tensor.dtype}"
            )

    def require_one_quantization(self, *tensors: Tensor) -> None:
        """Codes of several tensors meet in one: the same scale and zero point, or no meaning at all."""
        for tensor in tensors:
            ours, theirs = tensor.quantization, tensors[0].quantization
            same = ours == theirs or (
                ours is not None
                and theirs is not None
                and (ours.scales, ours.zero_points) == (theirs.scales, theirs.zero_points)
            )
            self.require(same, f"'{tensor.name}' has another quantization than '{tensors[0].name}'")

    def require_shape(self, output: Tensor, expected: tuple[int, ...]) -> None:
        self.require(output.shape == expected, f"output of shape {output.shape}, expected {expected}")

    def axis_of(self, value: int, rank: int) -> int:
        """An axis that may count from the end, as a position."""
        self.require(-rank <= value < rank, f"axis {value} of {rank}")
        return value % rank

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        samples = max((len(x) for x in inputs if x is not None), default=1)
        outputs = [np.empty((samples, *t.shape), t.dtype) for t in self.outputs]
        for move in self.moves:
            x = inputs[move.source]
            assert x is not None
            move.put(outputs[move.target])[...] = move.take(x)
        return tuple(outputs)

    def emit(self, c: Emission) -> str:
        c.kernel("move.h")
        parts = []
        for move in self.moves:
            source, target = self.input_tensor(move.source), self.outputs[move.target]
            blocks = contiguous_blocks(move, source.shape, target.shape, DTYPE_BYTES[source.dtype])
            parts.append(
                emit_blocks(blocks, c.input(move.source), c.output(move.target), DTYPE_BYTES[source.dtype])
            )
        return "\n".join(parts)


def contiguous_blocks(
    move: Move, source: tuple[int, ...], target: tuple[int, ...], element_bytes: int
) -> Blocks:
    """The longest runs of bytes that a move copies, with the fewest loops around them."""
    taken, from_offset = _layout(move.take, source)
    put, to_offset = _layout(move.put, target)
    sizes: list[int] = []
    strides: list[tuple[int, int]] = []
    for size, step in zip(taken.shape, zip(taken.strides, put.strides, strict=True), strict=True):
        if size == 1:
            continue
        if sizes and strides[-1] == (step[0] * size, step[1] * size):
            sizes[-1] *= size
            strides[-1] = step
        else:
            sizes.append(size)
            strides.append(step)
    run = 1
    if strides and strides[-1] == (1, 1):
        run = sizes.pop()
        strides.pop()
    return Blocks(
        run * element_bytes,
        tuple(sizes),
        tuple(step[0] * element_bytes for step in strides),
        tuple(step[1] * element_bytes for step in strides),
        from_offset * element_bytes,
        to_offset * element_bytes,
    )


def _layout(view: View, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """The view over bytes that stand for elements, so that its strides count elements, and its offset."""
    base = np.empty((1, *shape), np.int8)
    seen = view(base)
    assert np.may_share_memory(seen, base), "a copy, not a view"
    offset = seen.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return seen, offset


def emit_blocks(blocks: Blocks, source: str, target: str, element_bytes: int) -> str:
    """C statements that copy the blocks between two arrays, given as pointers to their elements."""

    def shifted(pointer: str, offset: int) -> str:
        return f"{pointer} + {offset // element_bytes}" if offset else pointer

    origin, place = shifted(source, blocks.from_offset), shifted(target, blocks.to_offset)
    if not blocks.sizes:
        return f"memcpy({place}, {origin}, {blocks.run});"
    spare = _LOOPS - len(blocks.sizes)
    assert spare >= 0, "more loops than tg_move has"

    def numbers(values: tuple[int, ...], filler: int) -> str:
        return "{" + ", ".join(str(v) for v in (filler,) * spare + values) + "}"

    return "\n".join(
        (
            "{",
            "    static const tg_move_shape shape = {",
            f"        .run = {blocks.run}, .alignment = {element_bytes}, .size = {numbers(blocks.sizes, 1)},",
            f"        .from = {numbers(blocks.from_strides, 0)}, .to = {numbers(blocks.to_strides, 0)},",
            "    };",
            f"    tg_move(&shape, {origin}, {place});",
            "}",
        )
    )
