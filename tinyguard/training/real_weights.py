# SPDX-License-Identifier: Apache-2.0
"""Real weights over the codes of one layer, and the layer that they give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Quantization, Tensor
from tinyguard.operators import Unsupported
from tinyguard.operators.families.accumulating import Accumulating

LARGEST_WEIGHT = 127  # TFLite's int8 weights are symmetric: -128 is not used
_LARGEST_BIAS = 1 << 30
_SAME_SCALE = 1e-6  # relative: float32 rounding of 127 times a scale
_INPUTS = 1, 2  # of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: weights, bias


@dataclass(frozen=True, eq=False)
class Constants:
    """What a trained layer keeps in the file: int8 `weights`, int64 `bias` (channels,), and float32 `scales`
    of the weights, one or one per channel."""

    weights: np.ndarray
    bias: np.ndarray
    scales: np.ndarray


class RealWeights:
    """Of `operator`: `weights` float32 in the file's layout, `bias` float64 (channels,) or None where the
    layer has none, both real values.

    A weight's code is round(weight / scale) in -127..127, a bias' round(bias / (input scale * scale)). With
    `rescale` a channel's scale is its largest weight / 127; without, scales stay those of the file and
    weights inside what they can hold. Channels whose code never changes stay as the file has them.
    """

    def __init__(self, operator: Accumulating, rescale: bool) -> None:
        self.operator, self.rescale = operator, rescale
        tensor = operator.input_tensor(_INPUTS[0])
        assert tensor.quantization is not None
        scales = np.array(tensor.quantization.scales, np.float32)
        self._file = Constants(operator.weights, operator.bias, scales)
        self._frozen = operator.constant_channels
        self._shape = [1] * operator.weights.ndim
        if len(scales) > 1:
            self._shape[operator.channel_axis] = -1
        self.weights = torch.from_numpy(operator.weights * scales.reshape(self._shape))
        self.weights.requires_grad_()
        self.bias: torch.Tensor | None = None
        if self.tensors[1] is not None:
            self.bias = torch.from_numpy(operator.bias * self._bias_scales(scales)).requires_grad_()

    @property
    def tensors(self) -> tuple[Tensor, Tensor | None]:
        """The file's tensors of weights and bias."""
        inputs = self.operator.inputs
        return self.operator.input_tensor(_INPUTS[0]), inputs[_INPUTS[1]] if len(inputs) > _INPUTS[
            1
        ] else None

    def _bias_scales(self, scales: np.ndarray) -> np.ndarray:
        return np.float64(np.float32(self.operator.source.scale)) * scales.astype(np.float64)

    def constants(self) -> Constants:
        """The codes and scales of the weights as they are now. Without `rescale` the weights are first moved
        into what the scales can hold."""
        weights = self.weights.detach().numpy()
        scales = self._scales(weights)
        if not self.rescale:
            most = LARGEST_WEIGHT * scales.reshape(self._shape)
            np.clip(weights, -most, most, out=weights)
        codes = (
            np.rint(weights / scales.reshape(self._shape))
            .clip(-LARGEST_WEIGHT, LARGEST_WEIGHT)
            .astype(np.int8)
        )
        bias = self._file.bias
        if self.bias is not None:
            real = np.rint(self.bias.detach().numpy() / self._bias_scales(scales))
            bias = real.clip(-_LARGEST_BIAS, _LARGEST_BIAS).astype(np.int64)
        return self._kept(codes, bias, scales)

    def _scales(self, weights: np.ndarray) -> np.ndarray:
        old = self._file.scales
        if not self.rescale:
            return old
        axes = tuple(axis for axis, size in enumerate(self._shape) if size == 1 or len(old) == 1)
        largest = np.abs(weights).max(axis=axes).reshape(-1)
        new = np.where(largest > 0, largest / np.float32(LARGEST_WEIGHT), old).astype(np.float32)
        return np.where(np.abs(new - old) <= _SAME_SCALE * old, old, new)

    def _kept(self, codes: np.ndarray, bias: np.ndarray, scales: np.ndarray) -> Constants:
        frozen, axis = self._frozen, self.operator.channel_axis
        if frozen.any():
            np.moveaxis(codes, axis, 0)[frozen] = np.moveaxis(self._file.weights, axis, 0)[frozen]
            bias = np.where(frozen, self._file.bias, bias)
            scales = np.where(frozen, self._file.scales, scales) if len(scales) > 1 else scales
        return Constants(codes, bias, scales)

    def operator_in(self, graph: Graph) -> Accumulating:
        """The operator in `graph`, which has other constants.

        Raises TinyguardError where its sums may leave 32 bits.
        """
        try:
            return type(self.operator)(graph, self.operator.node)
        except Unsupported as reason:
            raise TinyguardError(
                f"training moved layer '{self.operator.name}' out of its arithmetic ({reason}): lower --rate"
            ) from None

    def tensors_of(self, constants: Constants) -> list[Tensor]:
        """The file's tensors with these constants."""
        weights, bias = self.tensors
        assert weights.quantization is not None
        scales = tuple(map(float, constants.scales))
        tensors = [
            replace(
                weights, data=constants.weights, quantization=replace(weights.quantization, scales=scales)
            )
        ]
        if bias is not None:
            quantization = bias.quantization
            if quantization is not None:
                real = self._bias_scales(constants.scales).astype(np.float32)
                quantization = Quantization(tuple(map(float, real)), (0,) * len(real), quantization.axis)
            data = constants.bias.astype(bias.dtype)
            tensors.append(replace(bias, data=data, quantization=quantization))
        return tensors
