# SPDX-License-Identifier: Apache-2.0
"""Convolutions on bytes: float32's and float64's sums in every bit, or not used at all."""

import numpy as np
import pytest
import torch

from tests.operators.builder import GraphBuilder
from tinyguard.native import loops
from tinyguard.operators import resolve
from tinyguard.simulator import convolutions, sums
from tinyguard.simulator.accumulating import AccumulatingLayer
from tinyguard.simulator.choose_layer import layer_of
from tinyguard.simulator.convolutions import ByteConvolution, Convolution
from tinyguard.simulator.sums import InHalves

needs_vnni = pytest.mark.skipif(not convolutions.has_dot_products(), reason="this processor has no VNNI")
CPU = torch.device("cpu")


def convolution(
    seed: int,
    dtype: str = "int8",
    zero_point: int = 0,
    extreme: bool = False,
    **sizes: int,
) -> AccumulatingLayer:
    """3x3 or 1x1, any stride and padding, odd channel counts, but for `sizes`; `extreme` weights are all 127
    or -127."""
    rng = np.random.default_rng(seed)
    depth, channels, kernel = int(rng.integers(2, 20)), int(rng.integers(2, 20)), int(rng.choice([1, 3]))
    depth, kernel = sizes.get("depth", depth), sizes.get("kernel", kernel)
    stride, side = int(rng.integers(1, 3)), int(rng.integers(4, 9))
    b = GraphBuilder()
    x = b.input((1, side, side, depth), dtype, 0.05 if dtype == "int8" else 1e-4, zero_point)
    drawn = rng.integers(-127, 128, (channels, kernel, kernel, depth))
    weights = np.where(drawn < 0, -127, 127) if extreme else drawn
    bias = rng.integers(-1000, 1000, channels).astype(np.int32 if dtype == "int8" else np.int64)
    padding = str(rng.choice(["SAME", "VALID"]))
    rest = side - kernel + 1 if padding == "VALID" else side
    output = (1, -(-rest // stride), -(-rest // stride), channels)
    inputs = [x, b.constant(weights.astype(np.int8), 0.01), b.constant(bias, 5e-4)]
    options = {"stride_h": stride, "stride_w": stride, "padding": padding}
    b.node("CONV_2D", inputs, output, dtype, 0.9, 3 if dtype == "int8" else 0, **options)
    (resolved,) = resolve(b.graph())
    found = layer_of(resolved)
    assert isinstance(found, AccumulatingLayer)
    return found


def codes(layer: AccumulatingLayer, seed: int) -> np.ndarray:
    """Any codes (5, H, W, C), and both ends."""
    dtype = np.dtype(layer.operator.source.dtype)
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    drawn = np.random.default_rng(seed).integers(least, most + 1, (5, *layer.operator.source.shape[1:]))
    drawn[0], drawn[1] = least, most
    return drawn.astype(dtype)


@needs_vnni
@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_sums_are_those_of_float32(seed: int, extreme: bool) -> None:
    layer = convolution(seed, zero_point=seed * 23 - 128, extreme=extreme)
    found = layer.prepared_map(CPU)
    assert isinstance(found, ByteConvolution)
    x = torch.from_numpy(codes(layer, seed).astype(np.float32))
    plain = Convolution.sums(found, x)
    assert torch.equal(found.sums(x), plain)
    assert found.sums(x[:0]).shape == plain[:0].shape


@needs_vnni
@pytest.mark.parametrize("seed", range(12))
def test_bytes_in_and_out(seed: int) -> None:
    """Without a gradient codes are carried as bytes, those of floats too, which the next layer takes."""
    layer = convolution(seed, zero_point=seed * 23 - 128)
    assert layer.takes_bytes
    assert layer.makes_bytes
    x = codes(layer, seed)
    floats = torch.from_numpy(x.astype(np.float32))
    for given in (floats, loops.as_bytes(floats)):
        (found,) = layer.answer_in_bytes(given, None, None)
        assert found.dtype == torch.uint8
        np.testing.assert_array_equal(found.numpy() ^ 128, layer.operator.run(x)[0].view(np.uint8))
    (none,) = layer.answer_in_bytes(floats[:0], None, None)
    assert none.shape == (0, *layer.operator.outputs[0].shape)


@needs_vnni
@pytest.mark.parametrize("seed", range(8))
def test_halves_of_16_bits(seed: int) -> None:
    layer = convolution(seed, "int16")
    found = layer.prepared_map(CPU)
    assert isinstance(found, InHalves)
    assert found.of_bytes is not None
    x = codes(layer, seed)
    wanted = layer.operator.run(x)[0]
    for images in (x, x.transpose(2, 1, 0, 3).copy().transpose(2, 1, 0, 3)):  # contiguous or not
        got = layer.codes(torch.from_numpy(images.astype(np.float32, order="K")))
        np.testing.assert_array_equal(got.numpy(), wanted.reshape(got.shape))


def test_sums_of_bytes_beyond_float32_stay_in_halves_of_codes() -> None:
    """255 times the weights passes 2^24 where 128 times does not."""
    b = GraphBuilder()
    x = b.input((1, 3, 3, 80), "int16", 1e-4)
    weights = b.constant(np.full((2, 3, 3, 80), 127, np.int8), 0.01)
    b.node("CONV_2D", [x, weights, b.constant(np.zeros(2, np.int64), 1e-6)], (1, 1, 1, 2), "int16", 0.1,
           stride_h=1, stride_w=1, padding="VALID")  # fmt: skip
    (operator,) = resolve(b.graph())
    layer = layer_of(operator)
    assert isinstance(layer, AccumulatingLayer)
    found = layer.prepared_map(CPU)
    assert isinstance(found, InHalves)
    assert found.of_bytes is None
    x = codes(layer, 0)
    got = layer.codes(torch.from_numpy(x.astype(np.float32)))
    np.testing.assert_array_equal(got.numpy(), layer.operator.run(x)[0].reshape(got.shape))


@pytest.mark.parametrize("seed", range(8))
def test_few_codes_of_16_bits_are_no_bytes(seed: int) -> None:
    """So few that float32 sums them whole, not in halves."""
    layer = convolution(seed, "int16", depth=2, kernel=1)
    assert not layer.in_halves
    assert layer.torch_dtype == torch.float32
    x = codes(layer, seed)
    got = layer.codes(torch.from_numpy(x.astype(np.float32)))
    np.testing.assert_array_equal(got.numpy(), layer.operator.run(x)[0].reshape(got.shape))


@pytest.mark.parametrize("cause", ["no instructions", "other sums", "no such function"])
def test_otherwise_float32_serves(cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if cause == "no instructions":
        monkeypatch.setattr(convolutions, "has_dot_products", lambda: False)
    elif cause == "other sums":
        exact = ByteConvolution.of_bytes
        monkeypatch.setattr(ByteConvolution, "of_bytes", lambda *a: exact(*a) + 1)
    else:
        monkeypatch.setattr(torch.ops, "onednn", None)
    monkeypatch.setattr(sums, "multiplies_pairs", lambda: False)
    layer = convolution(1)
    assert type(layer.prepared_map(CPU)) is Convolution
    x = codes(layer, 1)
    got = layer.codes(torch.from_numpy(x.astype(np.float32)))
    np.testing.assert_array_equal(got.numpy(), layer.operator.run(x)[0].reshape(got.shape))
