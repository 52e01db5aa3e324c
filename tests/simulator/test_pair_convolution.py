# SPDX-License-Identifier: Apache-2.0
"""Convolutions by products in pairs: the codes and flags of the NumPy and torch code, or not used at all."""

import numpy as np
import pytest
import torch

from tests.operators.builder import GraphBuilder
from tests.simulator.test_byte_convolution import codes, convolution
from tinyguard.native import convolution as native
from tinyguard.operators import resolve
from tinyguard.simulator import convolutions, sums
from tinyguard.simulator.accumulating import AccumulatingLayer
from tinyguard.simulator.choose_layer import layer_of
from tinyguard.simulator.convolutions import Convolution
from tinyguard.simulator.sums import InHalves, InPairs

CPU = torch.device("cpu")
needs_pairs = pytest.mark.skipif(not native.multiplies_pairs(), reason="no AVX2, or no C compiler")


@pytest.fixture(autouse=True)
def no_better_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sums, convolutions):
        monkeypatch.setattr(module, "has_dot_products", lambda: False)


def check(layer: AccumulatingLayer, x: np.ndarray) -> None:
    """Codes as NumPy has them, flags as torch has them."""
    found = layer.prepared_map(CPU)
    assert isinstance(found, InPairs)
    images, rule = torch.from_numpy(x.astype(np.float32)), layer.requantization
    got, flags = sums.requantized_sums(images, found, rule, True)
    np.testing.assert_array_equal(got.numpy(), layer.operator.run(x)[0].reshape(got.shape))
    plain, wanted = sums.requantized_sums(images, found.plain, rule, True)
    assert torch.equal(got, plain)
    assert flags is not None
    assert wanted is not None
    assert torch.equal(flags, wanted)
    without, none = sums.requantized_sums(images, found, rule, False)
    assert none is None
    assert torch.equal(without, got)


@needs_pairs
@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_codes_of_8_bits(seed: int, extreme: bool) -> None:
    layer = convolution(seed, zero_point=seed * 8 - 128, extreme=extreme)
    check(layer, codes(layer, seed))


@needs_pairs
@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("seed", range(15))
def test_codes_of_16_bits(seed: int, extreme: bool) -> None:
    layer = convolution(seed, "int16", extreme=extreme)
    found = layer.prepared_map(CPU)
    assert isinstance(found, InPairs)
    assert isinstance(found.plain, InHalves)
    check(layer, codes(layer, seed))


def odd_convolution(padding: str, dilation: int, size: tuple[int, int], channels: int) -> AccumulatingLayer:
    height, width = size
    rng = np.random.default_rng(channels)
    b = GraphBuilder()
    x = b.input((1, height, width, 5), "int8", 0.05, 3)
    weights = rng.integers(-127, 128, (channels, 3, 2, 5)).astype(np.int8)
    inputs = [x, b.constant(weights, 0.01), b.constant(np.arange(channels).astype(np.int32), 5e-4)]
    options = {"stride_h": 2, "stride_w": 1, "dilation_h_factor": dilation, "dilation_w_factor": dilation}
    valid = -(-(height - 2 * dilation) // 2), width - dilation
    output = valid if padding == "VALID" else (-(-height // 2), width)
    b.node("CONV_2D", inputs, (1, *output, channels), "int8", 0.9, -7, padding=padding, **options)
    (resolved,) = resolve(b.graph())
    found = layer_of(resolved)
    assert isinstance(found, AccumulatingLayer)
    return found


@needs_pairs
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("size", "channels"), [((5, 3), 1), ((9, 7), 8), ((6, 11), 17), ((7, 40), 40)])
def test_any_window_and_number_of_channels(
    padding: str, dilation: int, size: tuple[int, int], channels: int
) -> None:
    layer = odd_convolution(padding, dilation, size, channels)
    check(layer, codes(layer, channels))


@needs_pairs
def test_more_channels_than_sums_are_kept() -> None:
    b = GraphBuilder()
    x = b.input((1, 3, 3, 2), "int8", 0.05)
    weights = np.random.default_rng(0).integers(-127, 128, (4100, 1, 1, 2)).astype(np.int8)
    inputs = [x, b.constant(weights, 0.01), b.constant(np.zeros(4100, np.int32), 5e-4)]
    b.node("CONV_2D", inputs, (1, 3, 3, 4100), "int8", 0.1, stride_h=1, stride_w=1, padding="SAME")
    (operator,) = resolve(b.graph())
    layer = layer_of(operator)
    assert isinstance(layer, AccumulatingLayer)
    check(layer, codes(layer, 0))


@needs_pairs
def test_no_images_and_gradients() -> None:
    layer = convolution(1)
    x = torch.from_numpy(codes(layer, 1).astype(np.float32)).requires_grad_()
    assert layer.codes(x.detach()[:0]).shape[0] == 0
    (got,) = torch.autograd.grad(layer.codes(x).sum(), x)
    found = layer.prepared_map(CPU)
    assert isinstance(found, InPairs)
    layer._maps = dict.fromkeys(layer._maps, found.plain)
    (wanted,) = torch.autograd.grad(layer.codes(x).sum(), x)
    assert torch.equal(got, wanted)


@pytest.mark.parametrize("cause", ["no instructions", "better instructions", "large sums"])
def test_otherwise_torch_serves(cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if cause == "no instructions":
        monkeypatch.setattr(sums, "multiplies_pairs", lambda: False)
    elif cause == "better instructions":
        monkeypatch.setattr(sums, "has_dot_products", lambda: True)
    else:
        monkeypatch.setattr(sums, "LARGEST_SUM", 0)
    assert isinstance(convolution(1).prepared_map(CPU), Convolution)
