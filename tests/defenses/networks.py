# SPDX-License-Identifier: Apache-2.0
"""A PixelCNN with random weights, small enough to look at every value of it."""

import numpy as np

from tinyguard.defenses.pixel_cnn import MaskedConvolution, PixelCNN, masked_taps, parameter_counts


def random_network(shape: tuple[int, int, int], seed: int = 1, mixtures: int = 3) -> PixelCNN:
    random, width = np.random.default_rng(seed), 6

    def layer(inputs: int, outputs: int, kernel: int, type_b: bool = True) -> MaskedConvolution:
        taps = masked_taps(kernel, type_b)
        fan = len(taps) * inputs
        weights = random.normal(0, 1.5 / np.sqrt(fan), (fan, outputs))
        return MaskedConvolution.rounded(taps, weights, random.normal(0, 0.3, outputs))

    blocks = tuple((layer(width, width, 3), layer(width, width, 1)) for _ in range(2))
    outputs = mixtures * sum(parameter_counts(shape[2]))
    return PixelCNN(
        shape, mixtures, layer(shape[2] + 1, width, 5, type_b=False), blocks, layer(width, outputs, 1)
    )


def random_codes(count: int, shape: tuple[int, int, int], seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, (count, *shape)).astype(np.int8)
