# SPDX-License-Identifier: Apache-2.0
"""Where torch 2.13 on a CPU convolves wrongly in channels_last: one channel, one column, wide stride."""

import numpy as np
import pytest
import torch

from tests.operators.builder import GraphBuilder
from tinyguard.graph import Graph
from tinyguard.operators import resolve
from tinyguard.operators.families.accumulating import Accumulating
from tinyguard.simulator.choose_layer import layer_of

HEIGHT, KERNEL, STRIDES = 6, (3, 3), {"stride_h": 1, "stride_w": 2, "padding": "SAME"}


def convolution(rng: np.random.Generator, operator: str, depth: int, channels: int) -> Graph:
    """One output column of a convolution, or one input column of a transposed one."""
    b = GraphBuilder()
    transposed = operator == "TRANSPOSE_CONV"
    narrow, wide = (1, HEIGHT, 1), (1, HEIGHT, 2)
    x = b.input((*(narrow if transposed else wide), depth), "int8", 0.05, -7)
    shape = (1, *KERNEL, channels) if operator == "DEPTHWISE_CONV_2D" else (channels, *KERNEL, depth)
    weights = b.constant(rng.integers(-127, 128, shape).astype(np.int8), 0.01)
    bias = b.constant(np.zeros(channels, np.int32), 0.0005)
    output = (*(wide if transposed else narrow), channels)
    inputs = [b.constant(np.array(output)), weights, x, bias] if transposed else [x, weights, bias]
    options = {"depth_multiplier": channels // depth} if operator == "DEPTHWISE_CONV_2D" else {}
    b.node(operator, inputs, output, "int8", 0.5, 3, **STRIDES, **options)
    return b.graph()


@pytest.mark.parametrize(
    ("operator", "depth", "channels"),
    [
        ("CONV_2D", 1, 4),
        ("CONV_2D", 1, 1),
        ("CONV_2D", 3, 1),
        ("DEPTHWISE_CONV_2D", 1, 3),
        ("TRANSPOSE_CONV", 3, 1),
        ("TRANSPOSE_CONV", 1, 3),
    ],
)
def test_float32_gives_the_codes_and_gradients_of_float64(
    operator: str, depth: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    graph = convolution(rng, operator, depth, channels)
    (resolved,) = resolve(graph)
    assert isinstance(resolved, Accumulating)
    assert resolved.exact_in_float32
    position = resolved.node.inputs.index(graph.inputs[0])
    codes = rng.integers(-128, 128, (8, *graph.tensors[graph.inputs[0]].shape)).astype(np.int8)
    upstream = torch.from_numpy(rng.normal(size=(8, *resolved.outputs[0].shape)).astype(np.float32))

    def compute() -> tuple[np.ndarray, torch.Tensor]:
        x = torch.from_numpy(codes.astype(np.float32)).requires_grad_()
        inputs: list[torch.Tensor | None] = [None] * len(resolved.inputs)
        inputs[position] = x
        (y,) = layer_of(resolved).forward(*inputs)
        y.backward(upstream)
        assert x.grad is not None
        return y.detach().numpy(), x.grad

    outputs, gradient = compute()
    arrays: list[np.ndarray | None] = [None] * len(resolved.inputs)
    arrays[position] = codes
    np.testing.assert_array_equal(outputs, resolved.run(*arrays)[0])
    monkeypatch.setattr(resolved, "exact_in_float32", False)
    torch.testing.assert_close(gradient, compute()[1], rtol=1e-4, atol=1e-6)
    assert (gradient != 0).any()
