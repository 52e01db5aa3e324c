# SPDX-License-Identifier: Apache-2.0
"""From samples to input codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyguard.data import Samples, dequantized, quantized, real_values, to_codes
from tinyguard.data.pixel_normalization import PRESETS, pixel_values
from tinyguard.errors import TinyguardError
from tinyguard.graph import Quantization, Tensor
from tinyguard.tflite import Metadata, Normalization

PIXELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def tensor(scale: float, zero_point: int, dtype: str = "int8") -> Tensor:
    quantization = Quantization((float(np.float32(scale)),), (zero_point,))
    return Tensor(0, "pixels", (1, 16, 16, 1), dtype, quantization)


@pytest.mark.parametrize("scale", [1, 1 / 255, 1 / 128])
def test_pixels_without_metadata_are_code_plus_128(scale: float) -> None:
    codes = to_codes(Samples(PIXELS), tensor(scale, -128))
    assert codes.dtype == np.int8
    assert (codes.astype(int) + 128 == PIXELS).all()


@pytest.mark.parametrize(
    ("scale", "zero_point", "dtype"),
    [(1 / 127, -128, "int8"), (1 / 255, 0, "int8"), (1 / 32767, 0, "int16")],
)
def test_pixels_without_metadata_are_refused_elsewhere(scale: float, zero_point: int, dtype: str) -> None:
    with pytest.raises(TinyguardError, match="--mean and --std"):
        to_codes(Samples(PIXELS), tensor(scale, zero_point, dtype))


def test_metadata_decides_over_the_scale() -> None:
    metadata = Metadata.of(normalization=Normalization((127.5,), (127.5,)))
    codes = to_codes(Samples(PIXELS), tensor(1 / 128, 0), metadata)
    assert codes.ravel()[[0, 127, 128, 255]].tolist() == [-128, -1, 1, 127]


@pytest.mark.parametrize(("preset", "scale"), [("unit", 1 / 255), ("raw", 1.0)])
def test_presets_keep_the_pixel(preset: str, scale: float) -> None:
    metadata = Metadata.of(normalization=PRESETS[preset])
    codes = to_codes(Samples(PIXELS), tensor(scale, -128), metadata)
    assert (codes.astype(int) + 128 == PIXELS).all()


def test_pixels_of_an_int16_network() -> None:
    metadata = Metadata.of(normalization=PRESETS["unit"])
    codes = to_codes(Samples(PIXELS), tensor(1 / 32767, 0, "int16"), metadata)
    assert codes.dtype == np.int16
    assert codes.ravel()[[0, 1, 128, 255]].tolist() == [0, 128, 16448, 32767]


def test_every_channel_has_its_own_mean_and_std() -> None:
    pixels = np.full((2, 4, 4, 3), 100, np.uint8)
    values = real_values(Samples(pixels), Normalization((0.0, 100.0, 50.0), (100.0, 1.0, 25.0)))
    assert values.dtype == np.float32
    assert values[0, 0, 0].tolist() == [1.0, 0.0, 2.0]


def test_codes_pass_and_other_codes_are_refused() -> None:
    codes = np.zeros((3, 16, 16, 1), np.int8)
    assert to_codes(Samples(codes), tensor(1, 0)) is codes
    with pytest.raises(TinyguardError, match="holds int8 codes and input pixels takes int16 codes"):
        to_codes(Samples(codes, name="it"), tensor(1, 0, "int16"))
    with pytest.raises(TinyguardError, match="which a float network cannot take"):
        real_values(Samples(codes), None)


def test_a_float_input_is_refused() -> None:
    with pytest.raises(TinyguardError, match="float32, not int8 or int16"):
        to_codes(Samples(PIXELS), Tensor(0, "x", (1, 16, 16, 1), "float32"))


def test_ties_round_away_from_zero() -> None:
    real = np.array([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999997, 1e9, -1e9]], np.float32)
    assert quantized(real, tensor(1, 0)).tolist() == [[-3, -2, -1, 1, 2, 3, 0, 127, -128]]


@given(st.floats(2**-10, 4), st.integers(-128, 127), st.integers(-128, 127))
def test_a_code_survives_the_way_to_a_real_value_and_back(scale: float, zero_point: int, code: int) -> None:
    codes = np.array([[code]], np.int8)
    there = tensor(scale, zero_point)
    assert quantized(dequantized(codes, there), there) == codes


def test_a_normalisation_for_other_channels_is_refused() -> None:
    with pytest.raises(TinyguardError, match="for 3 channels and the data has 1"):
        pixel_values(PRESETS["imagenet"], 1)
