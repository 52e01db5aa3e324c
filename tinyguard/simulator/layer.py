# SPDX-License-Identifier: Apache-2.0
"""What a layer is: one operator as torch carries it out."""

from __future__ import annotations

import copy
from typing import ClassVar, Self

import numpy as np
import torch

from tinyguard.graph import Node
from tinyguard.native import loops
from tinyguard.operators import Operator
from tinyguard.simulator.rules import PLAIN, Rules
from tinyguard.simulator.straight_through import clamped, replace_value


class Layer:
    """An operator in torch: exact codes forward, a straight-through gradient backward.

    `forward` and `answer` take one tensor per node input, shape (N, *tensor.shape), codes carried in
    float32; constants come with N = 1 and an absent optional input is None. They return one tensor per
    output, shape (N, *tensor.shape).

    This class serves every operator: values by its NumPy `run`, the gradient by `surrogate`. Subclasses
    name in `of` the operators that they carry out otherwise; see `choose_layer`.
    """

    of: ClassVar[tuple[type[Operator], ...]] = ()
    operator: Operator

    def __init__(self, operator: Operator, rules: Rules = PLAIN) -> None:
        self.operator = operator
        self.rules = rules

    @property
    def node(self) -> Node:
        """The node of the graph that it computes."""
        return self.operator.node

    def under(self, rules: Rules) -> Self:
        """The same layer, whose gradients pass by other rules. What it has prepared serves both."""
        twin = copy.copy(self)
        twin.rules = rules
        return twin

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Exact codes with a straight-through gradient."""
        arrays = [None if x is None else self._codes(x, i) for i, x in enumerate(inputs)]
        device = next(x.device for x in inputs if x is not None)
        exact = [torch.from_numpy(y.astype(np.float32)).to(device) for y in self.operator.run(*arrays)]
        if not any(x is not None and x.requires_grad for x in inputs):
            return tuple(exact)
        clamp, leak = self.operator.clamp, self.rules.leak
        real = self.surrogate(*inputs)
        return tuple(replace_value(clamped(r, *clamp, leak), e) for r, e in zip(real, exact, strict=True))

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Differentiable real-valued output codes, before rounding and clamping, from input codes."""
        return self.operator.surrogate(*inputs)

    @property
    def takes_bytes(self) -> bool:
        """Whether `answer` is quick with codes as bytes, uint8 and 128 more than the codes."""
        return False

    @property
    def makes_bytes(self) -> bool:
        """Whether there is `answer_in_bytes`."""
        return False

    def answer(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """`forward` without a gradient, on the CPU; int8 codes may come as bytes, and go so if they do."""
        return self.forward(*(None if x is None else loops.as_floats(x) for x in inputs))

    def answer_in_bytes(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """`answer`, in bytes; ask `makes_bytes` first."""
        raise NotImplementedError(f"{self.node.operator} makes no bytes")

    def _codes(self, x: torch.Tensor, index: int) -> np.ndarray:
        tensor = self.operator.inputs[index]
        assert tensor is not None
        return x.detach().cpu().numpy().astype(tensor.dtype)


def present(x: torch.Tensor | None) -> torch.Tensor:
    """An input that is never absent."""
    assert x is not None
    return x
