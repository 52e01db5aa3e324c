# SPDX-License-Identifier: Apache-2.0
"""The pixels that a float network is trained on."""

import numpy as np

from tinyguard.data import Samples
from tinyguard.errors import TinyguardError


def pixels_of(samples: Samples, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels, uint8 (N, *shape). Raises TinyguardError for other values, in which a budget means
    nothing."""
    if samples.x.dtype != np.uint8:
        raise TinyguardError(
            f"{samples.name} holds {samples.x.dtype}, and training takes uint8 pixels: eps is of their range"
        )
    if samples.x.shape[1:] != shape:
        raise TinyguardError(
            f"{samples.name}: samples have shape {samples.x.shape[1:]}, and the others {shape}"
        )
    return samples.x
