# SPDX-License-Identifier: Apache-2.0
"""Pixel Defend: move an image to a more likely one nearby before the network sees it. On the host only.

Source: Song et al., "PixelDefend" (arXiv 1710.10766), algorithm 1: pixel by pixel in raster order, each value
is set to the most likely one within eps of what it was, given the purified values before it.

Layers are evaluated at the current pixel alone, from what they computed at earlier pixels: nothing there can
change any more. An image so costs as many MACs as one evaluation of the whole network, and equals evaluating
the whole network anew at every pixel in every byte. Where there is a C compiler, the same is done in C.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyguard.defenses import compiled_pixel_defend
from tinyguard.defenses.pixel_choice import PixelMixture
from tinyguard.defenses.pixel_cnn import MaskedConvolution, PixelCNN, network_input
from tinyguard.defenses.pixel_likelihood import HIGHEST, LOWEST, bits_per_dimension
from tinyguard.errors import TinyguardError

BATCH = 128


@dataclass(frozen=True)
class PurificationCost:
    """What one image costs: `evaluations` of `macs` each, one after the other, and `masses` of logistics to
    compare candidate values. `published_macs`: the whole network evaluated for every value, as published.
    """

    evaluations: int
    macs: int
    masses: int
    published_macs: int

    @property
    def total_macs(self) -> int:
        return self.evaluations * self.macs


def purification_cost(network: PixelCNN, eps_codes: int) -> PurificationCost:
    """The cost of one image within `eps_codes` of whole codes."""
    height, width, channels = network.shape
    pixels, values = height * width, height * width * channels
    return PurificationCost(
        evaluations=pixels,
        macs=network.macs_per_pixel,
        masses=values * (2 * eps_codes + 1) * network.mixtures,
        published_macs=values * pixels * network.macs_per_pixel,
    )


class _CausalLayer:
    """A layer's inputs at the pixels so far, zeros around them: float64 (rows, columns, N, inputs)."""

    def __init__(self, layer: MaskedConvolution, shape: tuple[int, int, int], images: int) -> None:
        self.layer, reach = layer, layer.reach
        inputs = len(layer.weights) // len(layer.taps)
        self.seen = np.zeros((shape[0] + reach, shape[1] + 2 * reach, images, inputs))

    def put(self, row: int, column: int, x: np.ndarray) -> None:
        reach = self.layer.reach
        self.seen[row + reach, column + reach] = x

    def at(self, row: int, column: int) -> np.ndarray:
        reach = self.layer.reach
        taps = [self.seen[reach + row + down, reach + column + across] for down, across in self.layer.taps]
        return self.layer(np.concatenate(taps, axis=-1))


class _Evaluation:
    """The network at one pixel after the other, for a batch of images."""

    def __init__(self, network: PixelCNN, images: int) -> None:
        self.network = network
        self.first = _CausalLayer(network.first, network.shape, images)
        self.wide = [_CausalLayer(wide, network.shape, images) for wide, _ in network.blocks]

    def parameters(self, row: int, column: int) -> np.ndarray:
        """The mixture's parameters (N, parameters) at a pixel, when all before it have been `put`."""
        h = self.first.at(row, column)
        for wide, (_, narrow) in zip(self.wide, self.network.blocks, strict=True):
            wide.put(row, column, np.maximum(h, 0))
            h = h + narrow(np.maximum(wide.at(row, column), 0))
        return self.network.last(np.maximum(h, 0))

    def put(self, row: int, column: int, codes: np.ndarray) -> None:
        """int8 codes (N, channels) that the pixel has from now on."""
        self.first.put(row, column, network_input(codes))


def purify(
    network: PixelCNN,
    codes: np.ndarray,
    eps_codes: int,
    *,
    likely_bits: float | None = None,
    batch: int = BATCH,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Purified int8 codes, each within `eps_codes` of those given, int8 (N, height, width, channels).

    `likely_bits` is Song et al.'s adaptive variant: images of at most so many bits per dimension stay as they
    are. The batch changes no result. Raises TinyguardError for images of another shape or dtype.
    """
    check_images(network, codes)
    if not 0 <= eps_codes <= HIGHEST - LOWEST:
        raise TinyguardError(f"eps of {eps_codes} codes is not between 0 and 255: type --eps 38/255")
    purified = codes.copy()
    chosen = np.arange(len(codes))
    if likely_bits is not None:
        chosen = chosen[bits_per_dimension(network, codes) > likely_bits]
    for start in range(0, len(chosen), batch):
        part = chosen[start : start + batch]
        purified[part] = _purify_batch(network, codes[part], eps_codes)
        progress(min(start + batch, len(chosen)))
    return purified


def check_images(network: PixelCNN, codes: np.ndarray) -> None:
    """Raise TinyguardError unless `codes` are int8 images of the network's shape."""
    if codes.dtype != np.int8 or codes.shape[1:] != network.shape:
        raise TinyguardError(
            f"the images are {codes.dtype} {codes.shape[1:]} and the PixelCNN takes int8 {network.shape}: "
            "give --pixel-cnn weights that were trained on such images"
        )


def _purify_batch(network: PixelCNN, codes: np.ndarray, eps_codes: int) -> np.ndarray:
    if compiled_pixel_defend.available():
        return compiled_pixel_defend.purified(network, codes, eps_codes)
    evaluation, purified = _Evaluation(network, len(codes)), codes.copy()
    height, width, channels = network.shape
    for row in range(height):
        for column in range(width):
            mixture = PixelMixture(network, evaluation.parameters(row, column))
            for channel in range(channels):
                purified[:, row, column, channel] = mixture.choose(
                    channel, codes[:, row, column, channel], eps_codes
                )
            evaluation.put(row, column, purified[:, row, column])
    return purified
