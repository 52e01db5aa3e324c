# SPDX-License-Identifier: Apache-2.0
"""Operators that only move codes, in torch: exact, the gradient the movement back, bytes moved as bytes."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from tinyguard.native import loops
from tinyguard.operators.concatenation import Concatenation, Pack
from tinyguard.operators.families.moving import Moving, View
from tinyguard.operators.pad import Pad
from tinyguard.operators.reshape import Reshape
from tinyguard.operators.slice import Slice
from tinyguard.operators.split import Parting
from tinyguard.operators.transpose import Transpose
from tinyguard.simulator.layer import Layer, present


class MovingLayer(Layer):
    """Any movement, as a gather of every element."""

    of: ClassVar[tuple[type[Moving], ...]] = (Moving,)
    operator: Moving

    @property
    def takes_bytes(self) -> bool:
        return self.operator.outputs[0].dtype == "int8"

    def answer(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        pairs = zip(inputs, self.operator.inputs, strict=True)
        codes = [x for x, tensor in pairs if tensor is not None and tensor.dtype == "int8"]
        in_bytes = all(x is not None and loops.are_bytes(x) for x in codes)
        return self.forward(*inputs) if in_bytes else super().answer(*inputs)

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        samples = max(len(x) for x in inputs if x is not None)
        outputs = []
        for tensor, (origins, order) in zip(self.operator.outputs, self._gathers, strict=True):
            pieces = []
            for source, origin in origins:
                x = present(inputs[source])
                index = torch.from_numpy(origin).to(x.device)
                pieces.append(x.reshape(len(x), -1)[:, index].expand(samples, -1))
            joined = torch.cat(pieces, dim=1)[:, torch.from_numpy(order).to(pieces[0].device)]
            outputs.append(joined.reshape(samples, *tensor.shape))
        return tuple(outputs)

    @cached_property
    def _gathers(self) -> list[tuple[list[tuple[int, np.ndarray]], np.ndarray]]:
        """Per output: (input, positions read) of every move, and the order that puts them in place."""
        operator, gathers = self.operator, []
        for target, tensor in enumerate(operator.outputs):
            moves = [move for move in operator.moves if move.target == target]
            origins = [(m.source, _positions(m.take, operator.input_tensor(m.source).shape)) for m in moves]
            places = np.concatenate([_positions(m.put, tensor.shape) for m in moves])
            gathers.append((origins, np.argsort(places)))
        return gathers


class ReshapeLayer(MovingLayer):
    of: ClassVar = (Reshape,)

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x = present(inputs[0])
        return (x.reshape(len(x), *self.operator.outputs[0].shape),)


class TransposeLayer(MovingLayer):
    of: ClassVar = (Transpose,)
    operator: Transpose

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        return (present(inputs[0]).permute(self.operator.axes),)


class SliceLayer(MovingLayer):
    of: ClassVar = (Slice,)

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        return (self.operator.moves[0].take(present(inputs[0])),)


class PartingLayer(MovingLayer):
    of: ClassVar = (Parting,)
    operator: Parting

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x = present(inputs[self.operator.source_index])
        return tuple(move.take(x) for move in self.operator.moves)


class ConcatenationLayer(MovingLayer):
    of: ClassVar = (Concatenation,)
    operator: Concatenation

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        return (torch.cat(_alike(inputs), dim=self.operator.axis),)


class PackLayer(MovingLayer):
    of: ClassVar = (Pack,)
    operator: Pack

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        return (torch.stack(_alike(inputs), dim=self.operator.axis),)


class PadLayer(MovingLayer):
    of: ClassVar = (Pad,)
    operator: Pad

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x, operator = present(inputs[0]), self.operator
        sides = [side for widths in reversed(operator.widths) for side in widths]
        fill = operator.fill + 128 if loops.are_bytes(x) else operator.fill
        return (functional.pad(x, sides, value=fill),)


def _alike(inputs: tuple[torch.Tensor | None, ...]) -> list[torch.Tensor]:
    """The inputs that are there, constants repeated for each sample."""
    given = [x for x in inputs if x is not None]
    samples = max(len(x) for x in given)
    return [x.expand(samples, *x.shape[1:]) for x in given]


def _positions(view: View, shape: tuple[int, ...]) -> np.ndarray:
    """Of the view's elements, in its order, the positions in the flat tensor."""
    elements = int(np.prod(shape, dtype=np.int64))
    return np.ascontiguousarray(view(np.arange(elements).reshape(1, *shape))).reshape(-1)
