# SPDX-License-Identifier: Apache-2.0
"""Reductions over any axes: which, and the loops that walk them, shared by MEAN and REDUCE_MAX."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyguard.operators.base import Operator

LOOPS = 3  # kept and reduced loops of the C kernels: enough for any reduction up to rank 6


@dataclass(frozen=True)
class Reduction:
    """Axes of a tensor (sorted), and (size, stride in elements) of its kept and reduced loops."""

    axes: tuple[int, ...]
    count: int  # input elements per output element
    kept: tuple[tuple[int, int], ...]
    reduced: tuple[tuple[int, int], ...]

    @property
    def batched_axes(self) -> tuple[int, ...]:
        """The axes of an array with a leading axis of samples."""
        return tuple(axis + 1 for axis in self.axes)

    def fields(self) -> dict[str, int]:
        """The loops in the words of the kernels' shapes, outermost first."""
        sizes = {}
        for name, loops in (("kept", self.kept), ("reduced", self.reduced)):
            filled = ((1, 0),) * (LOOPS - len(loops)) + loops
            for i, (size, stride) in enumerate(filled):
                sizes[f"{name}[{i}]"] = size
                sizes[f"{name}_stride[{i}]"] = stride
        return sizes


def prepare(operator: Operator) -> Reduction:
    """The reduction of input 0 over the constant axes of input 1; checks the output's shape."""
    source, output = operator.input_tensor(0), operator.outputs[0]
    operator.require_codes(source, output)
    rank = len(source.shape)
    given = [int(axis) for axis in np.ravel(operator.constant_input(1))]
    operator.require(all(-rank <= axis < rank for axis in given), f"axes {given} of rank {rank}")
    axes = tuple(sorted({axis % rank for axis in given}))
    kept = [(i in axes, n) for i, n in enumerate(source.shape)]
    if operator.option("keep_dims", False):
        expected = tuple(1 if reduced else n for reduced, n in kept)
    else:
        expected = tuple(n for reduced, n in kept if not reduced)
    operator.require(output.shape == expected, f"output of shape {output.shape}, expected {expected}")
    operator.require(source.elements > 0, "an empty input")

    loops: list[tuple[bool, int, int]] = []  # reduced, size, stride: neighbours of a kind are one loop
    stride = 1
    for reduced, n in reversed(kept):
        if n > 1:
            if loops and loops[0][0] == reduced:
                loops[0] = (reduced, loops[0][1] * n, loops[0][2])
            else:
                loops.insert(0, (reduced, n, stride))
        stride *= n
    parts = [tuple((n, s) for r, n, s in loops if r is kind) for kind in (False, True)]
    operator.require(max(map(len, parts)) <= LOOPS, f"axes {given} of shape {source.shape}")
    count = int(np.prod([source.shape[axis] for axis in axes], dtype=np.int64))
    return Reduction(axes, count, *parts)
