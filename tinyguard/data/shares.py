# SPDX-License-Identifier: Apache-2.0
"""Input codes as [0, 1] pixels, fractions of the pixel range: the unit of every perturbation budget."""

from dataclasses import dataclass

import numpy as np

from tinyguard.data.codes import CODE_DTYPES, quantized
from tinyguard.data.pixel_normalization import pixel_values
from tinyguard.errors import TinyguardError
from tinyguard.graph import Tensor
from tinyguard.tflite.metadata import Normalization

_TOLERANCE = 1e-6  # 8/255 over a float32 step of 1/255 is 7.9999997 steps, 1 over it 254.99999


@dataclass(frozen=True)
class Shares:
    """From codes to [0, 1] pixels: offset + step * code = pixel / 255.

    One entry per channel (the last axis of the input), or one for all channels where the normalisation
    has one. `low_code` to `high_code` are the codes that pixels 0 to 255 can have, as `to_codes` rounds
    them and the dtype limits them.
    """

    step: tuple[float, ...]
    offset: tuple[float, ...]
    low_code: tuple[int, ...]
    high_code: tuple[int, ...]


def shares_of(tensor: Tensor, normalization: Normalization | None) -> Shares:
    """How codes of `tensor`, a network's int8 or int16 input, become [0, 1] pixels.

    pixel = mean + std * scale * (code - zero point); without a normalisation the codes of the dtype span
    the whole range. Raises TinyguardError for an input of another dtype and a normalisation for another
    number of channels.
    """
    if tensor.dtype not in CODE_DTYPES or tensor.quantization is None:
        raise TinyguardError(
            f"input {tensor.name} is {tensor.dtype}, not int8 or int16: quantize the network with "
            "tinyguard quantize"
        )
    if normalization is None:
        limits = np.iinfo(CODE_DTYPES[tensor.dtype])
        low, high = int(limits.min), int(limits.max)
        return Shares((1 / (high - low),), (-low / (high - low),), (low,), (high,))
    ends = pixel_values(normalization, tensor.shape[-1])[[0, 255], : len(normalization.mean)]
    low_codes, high_codes = quantized(ends, tensor).tolist()
    mean, std = np.array(normalization.mean), np.array(normalization.std)
    step = std * tensor.scale / 255
    offset = mean / 255 - step * tensor.zero_point
    return Shares(tuple(step.tolist()), tuple(offset.tolist()), tuple(low_codes), tuple(high_codes))


def whole_steps(eps: float, step: np.ndarray) -> np.ndarray:
    """Whole steps of sizes `step` that fit into `eps`, both in [0, 1] pixels: int64, shaped as `step` is."""
    exact = eps / np.asarray(step, np.float64)
    whole: np.ndarray = np.floor(exact + _TOLERANCE * np.maximum(1, exact)).astype(np.int64)
    return whole
