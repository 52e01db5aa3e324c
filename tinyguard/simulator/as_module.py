# SPDX-License-Identifier: Apache-2.0
"""The integer network as a plain torch module over images in [0, 1], for other attack libraries."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from tinyguard.data.codes import CODE_DTYPES
from tinyguard.data.shares import shares_of
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.answer import answer_tensor, decide
from tinyguard.tflite.metadata import RECORD_NAME, parse_metadata

LAYOUTS = ("nchw", "nhwc")
OUTPUTS = ("logits", "scores")


class Network(Protocol):
    """The network of a module: a `Simulator`."""

    graph: Graph

    def __call__(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]: ...

    def logits(self, *codes: torch.Tensor) -> torch.Tensor: ...


class IntegerModule(torch.nn.Module):
    """Pixels in [0, 1], float32, to real-valued float32 (N, classes), through the device's network.

    See `Simulator.as_module`. A pixel given as pixel / 255 has the code that `to_codes` gives it. The
    gradient passes straight through the rounding: it is the network's by code, over the step of a code.
    """

    def __init__(self, simulator: Network, layout: str, output: str) -> None:
        super().__init__()
        graph = simulator.graph
        if layout not in LAYOUTS or output not in OUTPUTS:
            raise TinyguardError(
                f"no layout {layout} with output {output}: known are {', '.join(LAYOUTS)} and "
                f"{', '.join(OUTPUTS)}"
            )
        if len(graph.inputs) != 1:
            raise TinyguardError(f"a module takes one input and the network has {len(graph.inputs)}")
        self.simulator = simulator
        self.output = output
        self.tensor = graph.tensors[graph.inputs[0]]
        self.channels_first = layout == "nchw" and len(self.tensor.shape) == 4
        record = graph.metadata.get(RECORD_NAME)
        self.normalization = parse_metadata(record).normalization if record else None
        self.shares = shares_of(self.tensor, self.normalization)
        # A parameter, as torchattacks asks a network's first one for its device.
        self.step = torch.nn.Parameter(torch.tensor(self.shares.step), requires_grad=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels.permute(0, 2, 3, 1) if self.channels_first else pixels
        scaled = x / self.step
        codes = self._codes(x.detach()) + (scaled - scaled.detach())
        if self.output == "logits":
            return self.simulator.logits(codes)
        graph = self.simulator.graph
        scores, tensor = decide(graph, self.simulator(codes)).scores, answer_tensor(graph)
        return (scores - tensor.zero_point) * tensor.scale if tensor.quantization else scores

    def _codes(self, pixels: torch.Tensor) -> torch.Tensor:
        """The nearest codes in the box, float32; of whole pixels exactly those of `to_codes`."""
        levels = pixels.double() * 255
        whole = levels.round()
        levels = torch.where((levels - whole).abs() < 1e-4, whole, levels)
        if self.normalization is None:
            rounded = levels / 255 * self._span + np.iinfo(CODE_DTYPES[self.tensor.dtype]).min
        else:
            real = (levels - _row(self.normalization.mean)) / _row(self.normalization.std)
            scaled = (real.float() / self.tensor.scale).double()
            rounded = torch.trunc(scaled + torch.copysign(torch.tensor(0.5).double(), scaled))
            rounded += self.tensor.zero_point
        return torch.clamp(rounded.round(), _row(self.shares.low_code), _row(self.shares.high_code)).float()

    @property
    def _span(self) -> int:
        (low,), (high,) = self.shares.low_code, self.shares.high_code
        return high - low


def _row(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)
