# SPDX-License-Identifier: Apache-2.0
"""What was done to pixels before the network saw them: real = (pixel - mean) / std, in pixel units."""

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.tflite.metadata import Normalization

UNIT = Normalization((0.0,), (255.0,))
PRESETS = {
    "unit": UNIT,
    "raw": Normalization((0.0,), (1.0,)),
    "symmetric": Normalization((127.5,), (127.5,)),
    "imagenet": Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}


def pixel_values(normalization: Normalization, channels: int) -> np.ndarray:
    """The real value of each pixel value: float32 (256, channels)."""
    mean, std = np.array(normalization.mean), np.array(normalization.std)
    if len(mean) != len(std) or not np.isfinite([*mean, *std]).all() or std.min() <= 0:
        raise TinyguardError("the normalisation needs as many std as mean, finite, and std above 0")
    if len(mean) not in (1, channels):
        raise TinyguardError(
            f"the normalisation is for {len(mean)} channels and the data has {channels}: quantize with one "
            "--mean and --std, or one per channel"
        )
    real = (np.arange(256)[:, None] - mean) / std
    return np.broadcast_to(real, (256, channels)).astype(np.float32)


def normalized(pixels: np.ndarray, normalization: Normalization) -> np.ndarray:
    """uint8 pixels (..., channels) to float32 real values of the same shape."""
    channels = pixels.shape[-1]
    return pixel_values(normalization, channels)[pixels, np.arange(channels)]
