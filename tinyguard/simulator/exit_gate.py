# SPDX-License-Identifier: Apache-2.0
"""EXIT_GATE in torch: values by NumPy. Which exit is taken is a choice, and passes no gradient."""

from __future__ import annotations

from typing import ClassVar

import torch

from tinyguard.operators.exit_gate import ExitGate
from tinyguard.simulator.layer import Layer


class ExitGateLayer(Layer):
    of: ClassVar = (ExitGate,)

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        return super().forward(*(None if x is None else x.detach() for x in inputs))
