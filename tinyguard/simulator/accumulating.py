# SPDX-License-Identifier: Apache-2.0
"""What convolutions and fully connected layers share in torch: exact sums, kept weights, requantization."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod

import numpy as np
import torch

from tinyguard.native import loops
from tinyguard.operators.base import CODE_RANGE
from tinyguard.operators.families.accumulating import FLOAT32_EXACT, Accumulating
from tinyguard.simulator.convolutions import has_dot_products
from tinyguard.simulator.layer import Layer, present
from tinyguard.simulator.requantization import Requantization
from tinyguard.simulator.rules import PLAIN, Rules
from tinyguard.simulator.sums import (
    AnyMap,
    InHalves,
    LinearMap,
    in_halves,
    requantized,
    requantized_bytes,
)


class AccumulatingLayer(Layer, ABC):
    """Base of the layers that sum int8 weights times codes and requantize per output channel."""

    operator: Accumulating

    def __init__(self, operator: Accumulating, rules: Rules = PLAIN) -> None:
        super().__init__(operator, rules)
        self._maps: dict[tuple[torch.device, torch.dtype], AnyMap] = {}

    @abstractmethod
    def linear_map(self, device: torch.device) -> LinearMap:
        """The weighted sums, in `torch_dtype`."""

    def quickest(self, linear: LinearMap | InHalves) -> AnyMap:
        """The same map, in another form where this processor sums quicker so."""
        return linear

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """Codes (N, *source.shape) as the map takes them: samples and the graph's own batch in one axis."""
        return x.reshape(-1, *self.operator.source.shape[1:])

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x = present(inputs[self.operator.source_index])
        return (self.codes(self.rows(x)).reshape(len(x), *self.operator.outputs[0].shape),)

    def answer(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        return self.forward(*inputs) if self.takes_bytes else super().answer(*inputs)

    def answer_in_bytes(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x = present(inputs[self.operator.source_index])
        codes = requantized_bytes(self.rows(x), self.prepared_map(x.device), self.requantization)
        return (codes.reshape(len(x), *self.operator.outputs[0].shape),)

    def codes(self, rows: torch.Tensor) -> torch.Tensor:
        """float32 output codes (M, ..., channels) of codes as the map takes them."""
        return requantized(rows, self.prepared_map(rows.device), self.requantization, self.rules.leak)

    @functools.cached_property
    def requantization(self) -> Requantization:
        """The rule from accumulators, bias included, to codes."""
        operator = self.operator
        constant, zero_point = operator.constant_channels, operator.outputs[0].zero_point
        return Requantization(
            np.where(constant, 0, operator.multipliers).astype(np.int64),
            np.where(constant, 0, operator.shifts).astype(np.int64),
            np.where(constant, operator.requantize(operator.least), zero_point).astype(np.int64),
            zero_point,
            operator.low,
            operator.high,
            operator.wide,
            operator.largest_sum,
        )

    @property
    def _whole_in_float32(self) -> bool:
        return self.operator.exact_in_float32 and self.operator.largest_sum < FLOAT32_EXACT

    @functools.cached_property
    def in_halves(self) -> bool:
        """Whether the upper and the lower half of int16 codes are summed, which is exact in float32."""
        operator = self.operator
        if operator.outputs[0].dtype != "int16" or self._whole_in_float32:
            return False
        low, high = CODE_RANGE["int16"]
        reach = (operator.most - operator.least) // (high - low) * 128
        halves = reach + np.abs(operator.moving_bias) // 256 + 1
        return bool((halves < FLOAT32_EXACT).all())

    @property
    def torch_dtype(self) -> torch.dtype:
        """In which the sums, bias included, are exact: those of halves, `in_halves`."""
        return torch.float32 if self._whole_in_float32 or self.in_halves else torch.float64

    @property
    def sums_to_bytes(self) -> bool:
        """Whether the loops in C make bytes of the sums, and convolutions are quick on such bytes."""
        int8, whole = self.operator.outputs[0].dtype == "int8", self.torch_dtype == torch.float32
        in_c = self.requantization.in_c is not None and loops.serves()
        return int8 and whole and in_c and has_dot_products()

    def prepared_map(self, device: torch.device) -> AnyMap:
        """`linear_map`, that of both halves of int16 codes, or one in pairs, kept for the next call."""
        key = device, self.torch_dtype
        if key not in self._maps:
            with torch.inference_mode(False):  # they may serve outside of that mode next
                linear = self.linear_map(device)
                whole = in_halves(linear, self.operator.moving_bias) if self.in_halves else linear
                self._maps[key] = self.quickest(whole) if device.type == "cpu" else whole
        return self._maps[key]

    def weights_and_bias(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Weights in the file's layout, the same times each channel's real factor, and the bias.

        Gradients are not exact: those of int16 codes are float32 even where the sums are not.
        """
        operator = self.operator
        shape = [1] * operator.weights.ndim
        shape[operator.channel_axis] = -1
        scaled = operator.weights * self.requantization.real.reshape(shape)

        def tensor(values: np.ndarray, dtype: torch.dtype = self.torch_dtype) -> torch.Tensor:
            return torch.from_numpy(values.astype(np.float64)).to(device, dtype)

        back = torch.float32 if operator.outputs[0].dtype == "int16" else self.torch_dtype
        return tensor(operator.weights), tensor(scaled, back), tensor(operator.moving_bias)

    def folded_bias(self, bias: torch.Tensor) -> torch.Tensor | None:
        """The bias for sums of codes with their zero point; None where those might not be exact."""
        operator = self.operator
        channels = np.moveaxis(operator.weights, operator.channel_axis, 0)
        rows = channels.reshape(len(operator.bias), -1).astype(np.int64)
        folded = operator.moving_bias - operator.source.zero_point * rows.sum(axis=1)
        widest = -CODE_RANGE[operator.outputs[0].dtype][0]
        largest = int((np.abs(rows).sum(axis=1) * widest + np.abs(folded)).max(initial=0))
        if largest >= (FLOAT32_EXACT if self.torch_dtype == torch.float32 else 2**53):
            return None
        return torch.from_numpy(folded).to(bias.device, bias.dtype)
