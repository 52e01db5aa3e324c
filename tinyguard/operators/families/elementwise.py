# SPDX-License-Identifier: Apache-2.0
"""Operators on two broadcast operands: checks, simulation, and the row loops of the C kernels."""

from __future__ import annotations

import functools
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyguard.operators.base import Operator

MAX_LEVELS = 6  # nested loops of the C kernels, the row included


@dataclass(frozen=True)
class Rows:
    """A broadcast as nested loops, outermost first: sizes, and each operand's step in elements.

    The last level is the row: its steps are 0 (one value for the row) or 1, never both 0.
    """

    sizes: tuple[int, ...]
    a: tuple[int, ...]
    b: tuple[int, ...]


def rows(a: tuple[int, ...], b: tuple[int, ...]) -> Rows:
    """The fewest loops that visit the broadcast of shapes a and b; ValueError when they do not fit."""
    output = np.broadcast_shapes(a, b)
    a, b = (1,) * (len(output) - len(a)) + a, (1,) * (len(output) - len(b)) + b
    levels: list[tuple[int, bool, bool]] = []  # size, moves a, moves b
    for size, n, m in zip(output, a, b, strict=True):
        if size == 1:
            continue
        if levels and levels[-1][1:] == (n > 1, m > 1):
            levels[-1] = (levels[-1][0] * size, n > 1, m > 1)
        else:
            levels.append((size, n > 1, m > 1))
    levels = levels or [(1, True, True)]
    steps: tuple[list[int], list[int]] = ([], [])
    for k, strides in enumerate(steps):
        stride = 1
        for level in reversed(levels):
            moves = level[1 + k]
            strides.append(stride if moves else 0)
            stride *= level[0] if moves else 1
    return Rows(tuple(level[0] for level in levels), tuple(steps[0][::-1]), tuple(steps[1][::-1]))


def c_rows(rows: Rows) -> str:
    """C declaration of the constant `tg_rows` named `rows`."""
    missing = MAX_LEVELS - len(rows.sizes)

    def field(name: str, values: tuple[int, ...], fill: int) -> str:
        return f".{name} = {{{', '.join(map(str, (fill,) * missing + values))}}}"

    fields = (field("size", rows.sizes, 1), field("a", rows.a, 0), field("b", rows.b, 0))
    return f"static const tg_rows rows = {{{', '.join(fields)}}};"


class Elementwise(Operator):
    """Base of the operators on two broadcast operands of one code type."""

    rows: Rows

    def prepare_broadcast(self) -> None:
        """Check types and shapes, and find the loops."""
        a, b, output = self.input_tensor(0), self.input_tensor(1), self.outputs[0]
        self.require_codes(a, b, output)
        try:
            shape = np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            self.fail(f"shapes {a.shape} and {b.shape} do not broadcast")
        self.require(output.shape == shape, f"output of shape {output.shape}, expected {shape}")
        self.rows = rows(a.shape, b.shape)
        self.require(len(self.rows.sizes) <= MAX_LEVELS, f"{len(self.rows.sizes)} levels of broadcasting")

    @property
    def in_place(self) -> tuple[int, ...]:
        """Operands that are read once, in order: all but broadcast ones and constants."""
        elements = self.outputs[0].elements
        whole = (k for k, t in enumerate(self.inputs[:2]) if t is not None and t.elements == elements)
        return tuple(k for k in whole if not self.input_tensor(k).is_constant)

    @abstractmethod
    def function(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Exact output codes of int64 codes without zero points, which broadcast."""

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        a, b = (self.aligned(x, k).astype(np.int64) - self._zero_point(k) for k, x in enumerate(inputs[:2]))
        return (self.function(a, b).astype(self.outputs[0].dtype),)

    @functools.cached_property
    def pairs(self) -> np.ndarray:
        """Output codes of all pairs of int8 codes, float32 (65536,), at (a + 128) * 256 + b + 128."""
        codes = np.arange(-128, 128, dtype=np.int64)
        table = self.function(codes[:, None] - self._zero_point(0), codes - self._zero_point(1))
        return table.astype(np.float32).ravel()

    def aligned(self, x: Any, index: int) -> Any:
        """x (N, *shape) of input `index`, any library's array, with ones after N up to the output's rank."""
        shape = self.input_tensor(index).shape
        ones = (1,) * (len(self.outputs[0].shape) - len(shape))
        return x.reshape(x.shape[0], *ones, *shape)

    def _zero_point(self, index: int) -> int:
        return self.input_tensor(index).zero_point
