# SPDX-License-Identifier: Apache-2.0
"""The discretised mixture of logistics that a PixelCNN predicts, and the likelihood of images under it.

Source: Salimans et al., "PixelCNN++" (arXiv 1701.05517), equations 1 to 3. A value's probability is the
mass of the logistic between half a code below and half a code above; the lowest and the highest code have the
tails, so that 256 probabilities sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tinyguard.defenses.pixel_cnn import PixelCNN, linked_means, split_parameters

LOWEST, HIGHEST = -128, 127
CHUNK = 16  # images per pass, so that the layers' inputs stay in the caches


@dataclass(frozen=True, eq=False)
class Mixture:
    """Components along the last axis, in units of 128 codes: `log_weights` (..., K), `means` and
    `log_scales` (..., channels, K), `links` (..., pairs of channels, K). Float64.

    Pairs are (1, 0), (2, 0), (2, 1): a channel's means move by links times the values of the earlier ones.
    """

    log_weights: np.ndarray
    means: np.ndarray
    log_scales: np.ndarray
    links: np.ndarray

    def component_logs(self, channel: int, codes: np.ndarray) -> np.ndarray:
        """Log-probabilities of `codes`, whole numbers (..., V), under each component, (..., K, V)."""
        inverse = np.exp(-self.log_scales[..., channel, :, None])
        code, step = codes[..., None, :], inverse / 128
        upper = (code + 0.5) / 128 - self.means[..., channel, :, None]
        upper *= inverse
        lower_mass = -_softplus(-upper)
        upper_mass = -_softplus(upper - step)
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)) loses no digits in the tails
        logs = lower_mass + upper_mass
        logs += np.log(-np.expm1(-step))
        np.copyto(logs, upper_mass, where=code == HIGHEST)
        np.copyto(logs, lower_mass, where=code == LOWEST)
        return logs

    def logs(self, channel: int, codes: np.ndarray) -> np.ndarray:
        """Log-probabilities of `codes` (..., V) for a channel, given those that `given` has put in."""
        return _logsumexp(self.log_weights[..., None] + self.component_logs(channel, codes), axis=-2)

    def given(self, channel: int, codes: np.ndarray) -> Mixture:
        """What is known of the later channels once this one has `codes` (...)."""
        means = linked_means(self.means, self.links, channel, codes)
        weights = self.log_weights + self.component_logs(channel, codes[..., None])[..., 0]
        return replace(self, means=means, log_weights=weights - _logsumexp(weights)[..., None])


def mixture_of(network: PixelCNN, parameters: np.ndarray) -> Mixture:
    """The mixture in a network's output, float64 (..., parameters)."""
    weights, means, log_scales, links = split_parameters(network, parameters)
    return Mixture(weights - _logsumexp(weights)[..., None], means, log_scales, links)


def log_likelihoods(network: PixelCNN, codes: np.ndarray) -> np.ndarray:
    """Natural logarithm of each value's probability given those before it, float64, of the shape of the
    int8 codes (N, height, width, channels)."""
    whole = codes.astype(np.int64)
    mixture = mixture_of(network, network.parameters(codes))
    logs = np.empty(codes.shape)
    for channel in range(codes.shape[-1]):
        logs[..., channel] = mixture.logs(channel, whole[..., channel, None])[..., 0]
        mixture = mixture.given(channel, whole[..., channel])
    return logs


def bits_per_dimension(
    network: PixelCNN, codes: np.ndarray, progress: Callable[[int], None] = lambda done: None
) -> np.ndarray:
    """Negative log2-likelihood per value, float64 (N,), of int8 images (N, height, width, channels)."""
    bits = []
    for start in range(0, len(codes), CHUNK):
        logs = log_likelihoods(network, codes[start : start + CHUNK])
        bits.append(-logs.mean(axis=(1, 2, 3)) / math.log(2))
        progress(min(start + CHUNK, len(codes)))
    return np.concatenate(bits) if bits else np.empty(0)


def _softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)); numpy.logaddexp is an order of magnitude slower."""
    tail: np.ndarray = np.log1p(np.exp(-np.abs(x)))
    tail += np.maximum(x, 0)
    return tail


def _logsumexp(x: np.ndarray, axis: int = -1) -> np.ndarray:
    top = x.max(axis=axis, keepdims=True)
    total: np.ndarray = np.log(np.exp(x - top).sum(axis=axis)) + top.squeeze(axis)
    return total
