# SPDX-License-Identifier: Apache-2.0
"""SLICE and STRIDED_SLICE: every mask, negative strides, indices from the end and beyond it."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_shape
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    dtype = activation_dtype(scheme)
    b = GraphBuilder()
    rank = int(rng.integers(1, 6))
    shape = draw_shape(rng, rank, largest=7 if rank < 5 else 4)
    x = b.input(shape, dtype, rng=rng)
    if rng.random() < 0.3:
        begin = [int(rng.integers(0, n)) for n in shape]
        size = [int(rng.integers(1, n - first + 1)) for n, first in zip(shape, begin, strict=True)]
        said = [
            -1 if first + n == whole and rng.random() < 0.5 else n
            for first, n, whole in zip(begin, size, shape, strict=True)
        ]
        kind = rng.choice([np.int32, np.int64])
        b.node("SLICE", [x, b.constant(np.array(begin, kind)), b.constant(np.array(said, kind))], size, dtype)
        return b.graph()
    strided_slice(b, rng, x, shape)
    return b.graph()


def strided_slice(b: GraphBuilder, rng: np.random.Generator, x: int, shape: tuple[int, ...]) -> None:
    """Draws the entries as NumPy indices, so that NumPy says which shape comes out."""
    entries: list[tuple[int, int, int]] = []
    masks = dict.fromkeys(("begin", "end", "ellipsis", "new_axis", "shrink_axis"), 0)
    index: list[slice | int | None] = []
    axis = 0
    with_extras = rng.random() < 0.3
    while axis < len(shape):
        bit, kind = 1 << len(entries), rng.random()
        if with_extras and kind < 0.2 and len(shape) + masks["new_axis"].bit_count() < 5:
            masks["new_axis"] |= bit
            entries.append((int(rng.integers(-3, 4)), int(rng.integers(-3, 4)), 1))
            index.append(None)
        elif with_extras and kind < 0.4 and not masks["ellipsis"]:
            masks["ellipsis"] |= bit
            skipped = int(rng.integers(1, len(shape) - axis + 1))
            entries.append((int(rng.integers(-3, 4)), int(rng.integers(-3, 4)), 1))
            index += [slice(None)] * skipped
            axis += skipped
        elif kind < 0.55:
            masks["shrink_axis"] |= bit
            position = int(rng.integers(-shape[axis], shape[axis]))
            entries.append((position, int(rng.integers(-3, 4)), 1))
            index.append(position)
            axis += 1
        else:
            begin, end, stride, masked = draw_range(rng, shape[axis])
            masks["begin"] |= bit * masked[0]
            masks["end"] |= bit * masked[1]
            entries.append((begin, end, stride))
            index.append(slice(None if masked[0] else begin, None if masked[1] else end, stride))
            axis += 1
    while len(entries) > 1 and isinstance(index[-1], slice) and not masks["ellipsis"] and rng.random() < 0.2:
        entries.pop()  # axes that nothing is said about are whole
        index.pop()
    output = np.empty(shape, np.int8)[tuple(index)].shape
    columns = [b.constant(np.array(column, np.int32)) for column in zip(*entries, strict=True)]
    b.node(
        "STRIDED_SLICE",
        [x, *columns],
        output,
        b.tensors[x].dtype,
        **{f"{name}_mask": mask for name, mask in masks.items()},
    )


def draw_range(rng: np.random.Generator, size: int) -> tuple[int, int, int, tuple[bool, bool]]:
    """begin, end, stride and whether each end is masked, of a slice that holds something."""
    while True:
        stride = int(rng.choice([1, 1, 1, 2, 3, -1, -2]))
        begin, end = (int(n) for n in rng.integers(-size - 2, size + 3, 2))
        masked = bool(rng.random() < 0.3), bool(rng.random() < 0.3)
        picked = range(size)[slice(None if masked[0] else begin, None if masked[1] else end, stride)]
        if len(picked):
            return begin, end, stride, masked
