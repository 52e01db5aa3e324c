# SPDX-License-Identifier: Apache-2.0
"""Networks that hide their weakness from gradients, made of the honest digits network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch

from tinyguard.graph import Graph, Node, Quantization, Tensor
from tinyguard.robustness.attacked_network import Target
from tinyguard.simulator.network import Simulator


def saturated_logits(honest: Target, factor: float) -> Target:
    """Logits `factor` times as steep in codes: nearly all sit at 127 and -128, where no gradient passes."""
    graph = honest.graph
    tensors = list(graph.tensors)
    (fully,) = (node for node in graph.nodes if node.operator == "FULLY_CONNECTED")
    output = tensors[fully.outputs[0]]
    tensors[output.index] = replace(
        output, quantization=_quantization(output.scale / factor, output.zero_point)
    )
    return _target(honest, replace(graph, tensors=tuple(tensors)))


def clamped_input(honest: Target, steepness: float) -> Target:
    """A first layer clamp((x - 0.5) * steepness + 0.5, 0, 1): nearly all pixels sit outside its clamp."""
    graph = honest.graph
    source = graph.tensors[graph.inputs[0]]
    assert source.quantization is not None
    first = len(graph.tensors)
    weight, step = steepness / 127, source.scale * steepness / 127
    bias = np.array([round((0.5 - 0.5 * steepness) / step)], np.int32)
    added = (
        Tensor(
            first, "steep", (1, 1, 1, 1), "int8", _quantization(weight, 0), np.full((1,) * 4, 127, np.int8)
        ),
        Tensor(first + 1, "offset", (1,), "int32", _quantization(step, 0), bias),
        Tensor(first + 2, "clamped", source.shape, "int8", source.quantization),
    )
    options = {"padding": "VALID", "stride_w": 1, "stride_h": 1, "depth_multiplier": 1}
    layer = Node(
        0, "DEPTHWISE_CONV_2D", (source.index, first, first + 1), (first + 2,), MappingProxyType(options)
    )
    later = (
        replace(
            node,
            index=node.index + 1,
            inputs=tuple(first + 2 if index == source.index else index for index in node.inputs),
        )
        for node in graph.nodes
    )
    return _target(honest, replace(graph, tensors=(*graph.tensors, *added), nodes=(layer, *later)))


class _Preceded(Simulator):
    """The network after a function of its input's codes, float32 to float32, which autograd can follow."""

    first: Callable[[torch.Tensor], torch.Tensor]

    def forward(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return super().forward(self._through(*codes))

    def logits(self, *codes: torch.Tensor) -> torch.Tensor:
        return super().logits(self._through(*codes))

    def taps(self, *codes: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        return super().taps(self._through(*codes))

    def _through(self, codes: torch.Tensor) -> torch.Tensor:
        real = self.first(codes).clamp(-128, 127)
        return real + (real.round() - real).detach()


def noisy(honest: Target, spread: float) -> Target:
    """Random noise inside: `spread` is its standard deviation in codes of the input, drawn at every call."""
    return _preceded(honest, lambda codes: codes + spread * torch.randn_like(codes))


def sawtooth(honest: Target, gain: float) -> Target:
    """What a pixel is off its grey level counts 1 + `gain` times: a larger step wraps and does less."""
    return _preceded(honest, lambda codes: codes + gain * _off_level(codes))


def ditched(honest: Target, depth: float) -> Target:
    """A ditch on both sides of every grey level: small steps turn back at it, a large one jumps over."""

    def first(codes: torch.Tensor) -> torch.Tensor:
        off = _off_level(codes)
        return codes - depth * off.sign() * (off.abs() - 2).clamp(0, 1)

    return _preceded(honest, first)


def _off_level(codes: torch.Tensor) -> torch.Tensor:
    """Codes from the nearest of the digits' 17 grey levels, in [-8, 8), with the gradient of `codes`."""
    level = ((codes.detach() + 128) / 255 * 16).round() * 255 / 16 - 128
    return codes - level.round()


def _preceded(honest: Target, first: Callable[[torch.Tensor], torch.Tensor]) -> Target:
    simulator = _Preceded(honest.graph, honest.batch_size)
    simulator.first = first
    return replace(honest, simulator=simulator, backend=simulator)


def _quantization(scale: float, zero_point: int) -> Quantization:
    return Quantization((float(np.float32(scale)),), (zero_point,))


def _target(honest: Target, graph: Graph) -> Target:
    simulator = Simulator(graph, honest.batch_size)
    return replace(honest, graph=graph, simulator=simulator, backend=simulator)
