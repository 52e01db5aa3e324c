# SPDX-License-Identifier: Apache-2.0
"""Sums of int16 codes in halves: exact in float32 up to the bound, float64 beyond it."""

import numpy as np
import pytest
import torch

from tests.operators.builder import GraphBuilder
from tinyguard.operators import resolve
from tinyguard.operators.base import Operator
from tinyguard.simulator.accumulating import AccumulatingLayer
from tinyguard.simulator.choose_layer import layer_of

MOST_WEIGHTS = (2**24 - 1) // (128 * 127)  # of 127 each, a sum of halves stays below 2^24


def fully_connected(depth: int, bias: int = 0) -> AccumulatingLayer:
    """Rows of weights that are all 127, all -127 and of both signs."""
    b = GraphBuilder()
    x = b.input((1, depth), "int16", 1e-4)
    rows = np.stack([np.full(depth, 127), np.full(depth, -127), np.resize([127, -127, 126], depth)])
    inputs = [x, b.constant(rows.astype(np.int8), 0.01), b.constant(np.full(3, bias), 1e-6)]
    b.node("FULLY_CONNECTED", inputs, (1, 3), "int16", depth * 1e-4)
    (resolved,) = resolve(b.graph())
    found = layer_of(resolved)
    assert isinstance(found, AccumulatingLayer)
    return found


def convolution(operator: str, depth: int, channels: int) -> AccumulatingLayer:
    rng = np.random.default_rng(depth)
    b = GraphBuilder()
    transposed, depthwise = operator == "TRANSPOSE_CONV", operator == "DEPTHWISE_CONV_2D"
    small, large = (1, 3, 4), (1, 6, 8)
    x = b.input((*(small if transposed else large), depth), "int16", 1e-4)
    shape = (1, 3, 3, channels) if depthwise else (channels, 3, 3, depth)
    weights = b.constant(rng.choice([-127, -100, 127], shape).astype(np.int8), 0.01)
    bias = b.constant(rng.integers(-(2**31), 2**31, channels), 1e-6)
    output = (*(large if transposed else small), channels)
    inputs = [b.constant(np.array(output)), weights, x, bias] if transposed else [x, weights, bias]
    options = {"depth_multiplier": channels // depth} if depthwise else {}
    b.node(operator, inputs, output, "int16", 0.1, stride_h=2, stride_w=2, padding="SAME", **options)
    (resolved,) = resolve(b.graph())
    found = layer_of(resolved)
    assert isinstance(found, AccumulatingLayer)
    return found


def codes(operator: Operator, position: int, seed: int) -> np.ndarray:
    """int16 codes (6, *shape): any, and those whose halves are largest."""
    rng = np.random.default_rng(seed)
    ends = np.array([-32768, 32767, -32640, 32640, 128, -128, 127, 0])
    shape = (6, *operator.input_tensor(position).shape)
    share = np.linspace(0, 1, 6).reshape(-1, *[1] * (len(shape) - 1))
    drawn = np.where(rng.random(shape) < share, rng.choice(ends, shape), rng.integers(-32768, 32768, shape))
    drawn[-1] = 32640  # 127 * 256 + 128: both halves are near their ends
    return drawn.astype(np.int16)


def check(layer: AccumulatingLayer, position: int) -> torch.Tensor:
    """The codes are those of `run`; the gradient."""
    operator = layer.operator
    found = codes(operator, position, seed=position)
    arrays: list[np.ndarray | None] = [None] * len(operator.inputs)
    tensors: list[torch.Tensor | None] = [None] * len(operator.inputs)
    x = torch.from_numpy(found.astype(np.float32)).requires_grad_()
    arrays[position], tensors[position] = found, x
    (y,) = layer.forward(*tensors)
    np.testing.assert_array_equal(y.detach().numpy(), operator.run(*arrays)[0])
    y.backward(torch.from_numpy(np.random.default_rng(1).normal(size=y.shape).astype(np.float32)))
    assert x.grad is not None
    assert (x.grad != 0).any()
    return x.grad


@pytest.mark.parametrize(
    ("operator", "depth", "channels"),
    [
        ("CONV_2D", 5, 4),
        ("CONV_2D", 1, 4),
        ("CONV_2D", 3, 1),
        ("DEPTHWISE_CONV_2D", 3, 6),
        ("DEPTHWISE_CONV_2D", 1, 3),
        ("TRANSPOSE_CONV", 3, 2),
        ("TRANSPOSE_CONV", 3, 1),
        ("TRANSPOSE_CONV", 1, 3),
    ],
)
def test_halves_give_the_codes_and_gradients_of_float64(operator: str, depth: int, channels: int) -> None:
    position = 2 if operator == "TRANSPOSE_CONV" else 0
    halves, whole = (convolution(operator, depth, channels) for _ in range(2))
    assert halves.in_halves
    assert halves.torch_dtype == torch.float32
    whole.in_halves = False
    assert whole.torch_dtype == torch.float64
    torch.testing.assert_close(check(halves, position), check(whole, position), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bias", [0, 300 * 256, -(2**40)])
@pytest.mark.parametrize("depth", [64, MOST_WEIGHTS - 1, MOST_WEIGHTS, MOST_WEIGHTS + 1, 2 * MOST_WEIGHTS])
def test_beyond_the_bound_float64_serves(depth: int, bias: int) -> None:
    layer = fully_connected(depth, bias)
    moving = abs(bias) if abs(bias) < 2**38 else 0  # beyond, no code moves
    fits = 128 * 127 * depth + moving // 256 + 1 < 2**24
    assert layer.in_halves == fits
    assert layer.torch_dtype == (torch.float32 if fits else torch.float64)
    if moving == abs(bias):
        check(layer, 0)
