# SPDX-License-Identifier: Apache-2.0
"""TRANSPOSE. Source: TFLite `reference/transpose.h`."""

from __future__ import annotations

from typing import ClassVar

from tinyguard.operators.families.moving import Move, Moving


class Transpose(Moving):
    """Output axis i is input axis permutation[i]; rank up to 6."""

    names: ClassVar = ("TRANSPOSE",)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_movable(source, output)
        rank = len(source.shape)
        self.require(rank <= 6, f"rank {rank}, at most 6")
        permutation = tuple(self.axis_of(int(p), rank) for p in self.constant_input(1).reshape(-1))
        self.require(sorted(permutation) == list(range(rank)), f"permutation {permutation} of rank {rank}")
        self.require_shape(output, tuple(source.shape[p] for p in permutation))
        self.axes = (0, *(p + 1 for p in permutation))
        self.moves = (Move(0, 0, take=lambda x: x.transpose(self.axes)),)
