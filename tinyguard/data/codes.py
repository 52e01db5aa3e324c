# SPDX-License-Identifier: Apache-2.0
"""From samples to the input codes of a quantized network, and back to real values."""

import numpy as np

from tinyguard.data.pixel_normalization import UNIT, normalized, pixel_values
from tinyguard.data.samples import Samples
from tinyguard.errors import TinyguardError
from tinyguard.graph import Tensor
from tinyguard.tflite.metadata import Metadata, Normalization

PIXEL_SCALES = (1.0, 1 / 255, 1 / 128)
CODE_DTYPES: dict[str, type[np.signedinteger]] = {"int8": np.int8, "int16": np.int16}


def to_codes(samples: Samples, tensor: Tensor, metadata: Metadata | None = None) -> np.ndarray:
    """The codes that `tensor`, the network's input, takes: int8 or int16 (N, *tensor.shape[1:]).

    int8 and int16 samples are codes already, float32 samples are real values, uint8 samples are
    pixels: they go through `metadata.normalization`; without it a pixel is code + 128 when the zero
    point is -128 and the scale 1, 1/255 or 1/128. Raises TinyguardError when none of this applies.
    """
    if tensor.dtype not in CODE_DTYPES or tensor.quantization is None:
        raise TinyguardError(
            f"input {tensor.name} is {tensor.dtype}, not int8 or int16: quantize the network with "
            "tinyguard quantize"
        )
    if samples.x.dtype == np.float32:
        return quantized(samples.x, tensor)
    if samples.x.dtype == np.uint8:
        return _pixels_to_codes(samples.x, tensor, metadata.normalization if metadata else None)
    if samples.x.dtype != CODE_DTYPES[tensor.dtype]:
        raise TinyguardError(
            f"{samples.name or 'the data'} holds {samples.x.dtype} codes and input {tensor.name} takes "
            f"{tensor.dtype} codes: give float32 real values or uint8 pixels"
        )
    return samples.x


def quantized(real: np.ndarray, tensor: Tensor) -> np.ndarray:
    """float32 values to codes as TFLite's QUANTIZE does: divided in float32, rounded half away from zero."""
    scaled = (real.astype(np.float32) / np.float32(tensor.scale)).astype(np.float64)
    rounded = np.trunc(scaled + np.copysign(0.5, scaled)) + tensor.zero_point
    limits = np.iinfo(CODE_DTYPES[tensor.dtype])
    return np.clip(rounded, limits.min, limits.max).astype(CODE_DTYPES[tensor.dtype])


def dequantized(codes: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Codes to real values: float32 scale * (code - zero point)."""
    return np.float32(tensor.scale) * (codes.astype(np.float32) - np.float32(tensor.zero_point))


def _pixels_to_codes(pixels: np.ndarray, tensor: Tensor, normalization: Normalization | None) -> np.ndarray:
    if normalization is not None:
        table = quantized(pixel_values(normalization, pixels.shape[-1]), tensor)
        return table[pixels, np.arange(pixels.shape[-1])]
    plain = any(abs(tensor.scale / scale - 1) < 1e-4 for scale in PIXEL_SCALES)
    if tensor.dtype == "int8" and tensor.zero_point == -128 and plain:
        return (pixels ^ np.uint8(128)).view(np.int8)
    raise TinyguardError(
        f"the model does not say how pixels become values of input {tensor.name} (scale "
        f"{tensor.scale:.6g}, zero point {tensor.zero_point}): quantize it with --mean and --std, or "
        f"give float32 or {tensor.dtype} data"
    )


def real_values(samples: Samples, normalization: Normalization | None) -> np.ndarray:
    """Float32 inputs for a float network: float32 as they are, uint8 pixels normalised (to 0..1 when
    it is not said how). Codes are refused."""
    if samples.x.dtype == np.float32:
        return samples.x
    if samples.x.dtype == np.uint8:
        return normalized(samples.x, normalization or UNIT)
    raise TinyguardError(
        f"{samples.name or 'the data'} holds {samples.x.dtype} codes, which a float network cannot "
        "take: give float32 real values or uint8 pixels"
    )
