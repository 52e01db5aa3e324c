# SPDX-License-Identifier: Apache-2.0
"""A weighted layer of an integer network in training: its exact codes, and gradients of its real weights.

With s_x, s_w and s_y the scales of input, weights and output, a layer computes the code y = round(s_x s_w /
s_y * (sum of w (x - z) + b)) on the codes w = round(W / s_w) and b = round(B / (s_x s_w)) of real weights W
and bias B. Straight through all roundings, dy/dW = s_x / s_y * (x - z) and dy/dB = 1 / s_y, where the clamp
of y holds nothing back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tinyguard.operators.conv_2d import Conv2D
from tinyguard.operators.depthwise_conv_2d import DepthwiseConv2D
from tinyguard.operators.families.accumulating import Accumulating
from tinyguard.operators.families.window import Axis
from tinyguard.operators.fully_connected import FullyConnected
from tinyguard.simulator.accumulating import AccumulatingLayer
from tinyguard.simulator.conv_2d import Conv2DLayer
from tinyguard.simulator.depthwise_conv_2d import DepthwiseConv2DLayer
from tinyguard.simulator.fully_connected import FullyConnectedLayer
from tinyguard.simulator.layer import Layer, present
from tinyguard.simulator.straight_through import keep_inside
from tinyguard.simulator.sums import requantized_sums

_aten: Any = torch.ops.aten


TRAINABLE = (Conv2DLayer, DepthwiseConv2DLayer, FullyConnectedLayer)


class TrainedLayer(Layer):
    """`layer`, with gradients of the real `weights` (in the file's layout) and `bias` (channels,) or None.

    Stands in for the layer where a network is executed. Its codes are those of the layer, whose operator
    must have been made of these weights.
    """

    def __init__(self, layer: AccumulatingLayer, weights: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__(layer.operator, layer.rules)
        self.layer, self.weights, self.bias = layer, weights, bias

    def forward(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        x = present(inputs[0])
        codes = _Trained.apply(self.layer.rows(x), self.weights, self.bias, self.layer)
        return (codes.reshape(len(x), *self.operator.outputs[0].shape),)


class _Trained(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        context: Any,
        x: torch.Tensor,
        weights: torch.Tensor,
        bias: torch.Tensor | None,
        layer: AccumulatingLayer,
    ) -> torch.Tensor:
        del weights
        linear, rule = layer.prepared_map(x.device), layer.requantization
        codes, outside = requantized_sums(x, linear, rule, True)
        context.layer, context.bias = layer, None if bias is None else bias.dtype
        context.save_for_backward(x, outside)
        return codes

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        x, outside = context.saved_tensors
        layer, operator = context.layer, context.layer.operator
        output = operator.outputs[0]
        kept = keep_inside(gradient.reshape(outside.shape), outside).view(gradient.shape)
        back, of_weights, of_bias = None, None, None
        if context.needs_input_grad[0]:
            back = layer.prepared_map(x.device).gradient(kept).to(gradient.dtype)
        if context.needs_input_grad[1]:
            sums = _gradient_of(operator)(operator, x - operator.source.zero_point, kept)
            of_weights = sums * (operator.source.scale / output.scale)
        if context.needs_input_grad[2]:
            of_bias = kept.flatten(0, -2).sum(0).to(context.bias) / output.scale
        return back, of_weights, of_bias, None


WeightGradient = Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]


def _gradient_of(operator: Accumulating) -> WeightGradient:
    if isinstance(operator, FullyConnected):
        return lambda operator, x, upstream: upstream.t() @ x
    return _of_depthwise if isinstance(operator, DepthwiseConv2D) else _of_convolution


def _of_convolution(operator: Conv2D, x: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
    gradient = _of_windows(x, upstream, operator.rows, operator.columns, operator.groups)
    return gradient.permute(0, 2, 3, 1)


def _of_depthwise(operator: DepthwiseConv2D, x: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
    gradient = _of_windows(x, upstream, operator.rows, operator.columns, x.shape[3])
    return gradient.permute(1, 2, 3, 0)


def _of_windows(
    x: torch.Tensor, upstream: torch.Tensor, rows: Axis, columns: Axis, groups: int
) -> torch.Tensor:
    """Gradients (O, C / groups, KH, KW) from x (N, H, W, C) without zero point and those of the sums
    (N, OH, OW, O)."""
    channels, outputs = x.shape[3], upstream.shape[3]
    images, given, padding = (
        x.permute(0, 3, 1, 2),
        upstream.permute(0, 3, 1, 2),
        [rows.before, columns.before],
    )
    if not all(_is_even(axis) for axis in (rows, columns)):
        sides = columns.before, columns.after, rows.before, rows.after
        images, padding = functional.pad(images, sides), [0, 0]
    layout = torch.channels_last
    if 1 in (channels, outputs):
        # One channel says nothing of the layout of its strides, and torch's CPU kernels then guess wrong.
        layout = torch.contiguous_format
        images, given = (y.clone(memory_format=layout) for y in (images, given))
    shape = outputs, channels // groups, rows.kernel, columns.kernel
    gradient: torch.Tensor = _aten.convolution_backward(
        given,
        images,
        torch.empty(shape, memory_format=layout),
        None,
        [rows.stride, columns.stride],
        padding,
        [rows.dilation, columns.dilation],
        False,
        [0, 0],
        groups,
        [False, True, False],
    )[1]
    return gradient


def _is_even(axis: Axis) -> bool:
    """Whether the padding before, on both ends, gives the windows."""
    reach = (axis.output - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1
    return 0 <= axis.input + 2 * axis.before - reach < axis.stride
