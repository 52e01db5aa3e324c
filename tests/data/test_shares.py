# SPDX-License-Identifier: Apache-2.0
"""Codes as [0, 1] pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyguard.data import Samples, to_codes
from tinyguard.data.pixel_normalization import PRESETS, UNIT
from tinyguard.data.shares import shares_of
from tinyguard.errors import TinyguardError
from tinyguard.graph import Quantization, Tensor
from tinyguard.tflite import Metadata, Normalization


def _input(scale: float, zero_point: int, dtype: str = "int8", channels: int = 3) -> Tensor:
    quantization = Quantization((float(np.float32(scale)),), (zero_point,))
    return Tensor(0, "images", (1, 8, 8, channels), dtype, quantization)


def test_pixels_over_255_have_a_code_a_pixel_value():
    shares = shares_of(_input(1 / 255, -128), UNIT)
    assert shares.step == pytest.approx((1 / 255,), rel=1e-7)
    assert shares.offset == pytest.approx((128 / 255,), rel=1e-7)
    assert (shares.low_code, shares.high_code) == ((-128,), (127,))


def test_without_a_normalisation_the_codes_span_the_pixel_range():
    shares = shares_of(_input(1.0, -128), None)
    assert shares.step == (1 / 255,)
    assert shares.offset == (128 / 255,)
    assert (shares.low_code, shares.high_code) == ((-128,), (127,))
    wide = shares_of(_input(0.01, 0, "int16"), None)
    assert (wide.step, wide.low_code, wide.high_code) == ((1 / 65535,), (-32768,), (32767,))


def test_sixteen_bit_codes_below_pixel_0_are_outside():
    shares = shares_of(_input(1 / 32767, 0, "int16"), UNIT)
    assert shares.step == pytest.approx((1 / 32767,), rel=1e-6)
    assert shares.offset == (0,)
    assert (shares.low_code, shares.high_code) == ((0,), (32767,))


def test_each_channel_has_its_own_step_where_the_normalisation_has():
    scale, zero_point, imagenet = float(np.float32(0.0187)), -14, PRESETS["imagenet"]
    shares = shares_of(_input(scale, zero_point), imagenet)
    pixels = np.broadcast_to(np.array([[0], [255]], np.uint8)[:, None, None], (2, 8, 8, 3))
    codes = to_codes(Samples(pixels), _input(scale, zero_point), Metadata.of(normalization=imagenet))
    assert shares.low_code == tuple(codes[0, 0, 0])
    assert shares.high_code == tuple(codes[1, 0, 0])
    for channel, std in enumerate(imagenet.std):
        assert shares.step[channel] == pytest.approx(scale * std / 255, rel=1e-12)


@given(
    st.floats(1e-4, 3),
    st.integers(-128, 127),
    st.tuples(st.floats(0, 255), st.floats(0.5, 255)),
    st.sampled_from(["int8", "int16"]),
)
def test_every_pixel_lies_in_the_box_and_its_code_shows_it(scale, zero_point, normal, dtype):
    tensor = _input(scale, zero_point, dtype, 1)
    normalization = Normalization((normal[0],), (normal[1],))
    shares = shares_of(tensor, normalization)
    pixels = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)
    metadata = Metadata.of(normalization=normalization)
    codes = to_codes(Samples(pixels), tensor, metadata).reshape(-1).astype(int)
    assert (codes.min(), codes.max()) == (shares.low_code[0], shares.high_code[0])
    limits = np.iinfo(dtype)
    free = (codes > limits.min) & (codes < limits.max)
    share = shares.offset[0] + shares.step[0] * codes
    float32_noise = 2.0**-22 * max(normal[0], 255 - normal[0]) / 255  # of real values, as [0, 1] pixels
    assert np.all(np.abs(share - np.arange(256) / 255)[free] <= 0.5001 * shares.step[0] + float32_noise)


def test_an_input_that_holds_no_codes_and_a_normalisation_of_other_channels_are_refused():
    with pytest.raises(TinyguardError, match="quantize the network"):
        shares_of(Tensor(0, "x", (1, 4), "float32"), None)
    with pytest.raises(TinyguardError, match="2 channels"):
        shares_of(_input(1.0, -128), Normalization((0, 0), (1, 1)))
