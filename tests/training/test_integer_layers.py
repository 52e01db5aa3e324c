# SPDX-License-Identifier: Apache-2.0
"""A weighted layer in training: the operator's own codes, and gradients of weights as autograd has them in
float."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.operators.cases_of import drawn_cases
from tinyguard.operators import resolve
from tinyguard.operators.depthwise_conv_2d import DepthwiseConv2D
from tinyguard.operators.fully_connected import FullyConnected
from tinyguard.simulator.accumulating import AccumulatingLayer
from tinyguard.simulator.choose_layer import layer_of
from tinyguard.training.integer_layers import TRAINABLE, TrainedLayer

KINDS = "conv_2d", "depthwise_conv_2d", "fully_connected"


@pytest.mark.parametrize("scheme", ["int8", "int16x8"])
@pytest.mark.parametrize("name", KINDS)
def test_codes_are_the_operators_and_gradients_those_of_the_unrounded_layer(name: str, scheme: str) -> None:
    torch.set_num_threads(1)
    for number, case in zip(range(25), drawn_cases(name, scheme, range(25)), strict=True):
        (operator,) = resolve(case.graph)
        layer = layer_of(operator)
        assert isinstance(layer, TRAINABLE)
        random = np.random.default_rng(number)
        limits = np.iinfo(operator.source.dtype)
        codes = random.integers(limits.min, limits.max + 1, (3, *operator.source.shape)).astype(limits.dtype)
        scales = np.array(operator.input_tensor(1).quantization.scales, np.float64)
        shape = [1] * operator.weights.ndim
        shape[operator.channel_axis] = -1 if len(scales) > 1 else 1
        real = torch.from_numpy(
            (operator.weights * scales.reshape(shape)).astype(np.float32)
        ).requires_grad_()
        bias = torch.from_numpy(operator.bias * scales * operator.source.scale).requires_grad_()
        x = torch.from_numpy(codes.astype(np.float32)).requires_grad_()

        (found,) = TrainedLayer(layer, real, bias).forward(x)
        (expected,) = operator.run(codes)
        np.testing.assert_array_equal(found.detach().numpy(), expected)

        upstream = torch.from_numpy(random.normal(size=found.shape).astype(np.float32))
        of_weights, of_bias = torch.autograd.grad(found, [real, bias], upstream)
        wanted = reference_gradients(layer, codes, upstream)
        for gradient, reference in zip((of_weights, of_bias), wanted, strict=True):
            size = float(reference.abs().max()) + 1e-30
            torch.testing.assert_close(
                gradient.double() / size, reference / size, rtol=1e-4, atol=1e-4, msg=case.graph.sha256
            )


def reference_gradients(
    layer: AccumulatingLayer, codes: np.ndarray, upstream: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """d(upstream * y) / d(W, B) of y = clamp((s_x conv(x - z, W) + B) / s_y + z_y), in float64 by
    autograd."""
    operator, rule = layer.operator, layer.requantization
    s_x, s_y = operator.source.scale, operator.outputs[0].scale
    x = torch.from_numpy(codes.astype(np.float64)) - operator.source.zero_point
    weights = torch.from_numpy(operator.weights.astype(np.float64)).requires_grad_()
    bias = torch.from_numpy(operator.bias.astype(np.float64)).requires_grad_()
    if isinstance(operator, FullyConnected):
        sums = x.reshape(-1, operator.depth) @ weights.t() + bias
    else:
        depthwise = isinstance(operator, DepthwiseConv2D)
        order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
        groups = operator.source.shape[3] if depthwise else operator.groups
        rows, columns = operator.rows, operator.columns
        images = functional.pad(
            x.reshape(-1, *operator.source.shape[1:]).permute(0, 3, 1, 2),
            (columns.before, columns.after, rows.before, rows.after),
        )
        steps = (rows.stride, columns.stride), 0, (rows.dilation, columns.dilation)
        sums = functional.conv2d(images, weights.permute(order), bias, *steps, groups).permute(0, 2, 3, 1)
    unrounded = sums.detach() * torch.from_numpy(rule.real) + torch.from_numpy(rule.offsets.astype(float))
    inside = (unrounded >= operator.low) & (unrounded <= operator.high)
    y = (sums.reshape(upstream.shape) * inside.reshape(upstream.shape) * upstream.double()).sum()
    of_weights, of_bias = torch.autograd.grad(y, [weights, bias])
    return of_weights * s_x / s_y, of_bias / s_y
