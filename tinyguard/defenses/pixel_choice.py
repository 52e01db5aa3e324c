# SPDX-License-Identifier: Apache-2.0
"""The most likely code of a pixel's channel in a window, under a mixture of logistics, without logarithms.

A logistic's mass from edge a to edge b > a is sigmoid(b) sigmoid(-a) (1 - exp(a - b)), which loses no digits
in the tails. The edges of whole codes lie one `step` of the component apart, so exp(-|edge|) of a window
follows from one exponential by multiplication, outwards from the mean. Only the component's mass at its
best code is kept as an exponent, for codes that no component expects.

Nothing but sums, products, quotients and roundings in a fixed order: `native/purify.c` does the same and so
finds the same bits, on every machine.
"""

from __future__ import annotations

import numpy as np

from tinyguard.defenses.pixel_cnn import PixelCNN, linked_means, split_parameters
from tinyguard.defenses.pixel_likelihood import HIGHEST, LOWEST

_LOG2E = 1.4426950408889634
# Their sum is ln 2; the last bits of the first are 0, so that its multiples are exact.
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_LEAST = -708.0  # below it 0: exp would leave the normal numbers
_TERMS = 13
_SMALL, _SMALL_TERMS = 0.5, 16


class PixelMixture:
    """The mixture at one pixel of N images, and what is known of it once channels are chosen.

    Component k of the channel that comes next weighs `scale` exp(`exponent`), both float64 (N, K).
    All (N, channels, K): `means` in units of 128 codes, `steps` from one code to the next in units of the
    component's scale, `ratios` exp(-steps) and `inner` 1 - exp(-steps).
    """

    def __init__(self, network: PixelCNN, parameters: np.ndarray) -> None:
        self.exponent, self.means, log_scales, self.links = split_parameters(network, parameters)
        self.scale = np.ones_like(self.exponent)
        self.steps = exponential(-log_scales) * (1 / 128)
        self.ratios = exponential(-self.steps)
        self.inner = one_less(self.ratios, self.steps)

    def choose(self, channel: int, codes: np.ndarray, eps_codes: int) -> np.ndarray:
        """The most likely codes within `eps_codes` of int8 `codes` (N,), int64 (N,), the lowest of equals;
        from now on the channel has them. Channels are chosen in their order."""
        given = codes.astype(np.int64)
        low = np.maximum(given - eps_codes, LOWEST)
        last = np.minimum(given + eps_codes, HIGHEST) - low
        tails = low == LOWEST, low + last == HIGHEST
        place = self.means[:, channel] * 128 - (low[:, None] - 0.5)  # of the mean, in edges of the window
        best = self._totals(channel, place, last, tails).argmax(axis=1)
        self._take(channel, place, last, tails, best)
        chosen: np.ndarray = low + best
        self.means = linked_means(self.means, self.links, channel, chosen)
        return chosen

    def _totals(
        self, channel: int, place: np.ndarray, last: np.ndarray, tails: tuple[np.ndarray, np.ndarray]
    ) -> np.ndarray:
        """Mass (N, V) of each candidate in units that are the same for all; -1 after an image's `last`."""
        step, inner = self.steps[:, channel], self.inner[:, channel]
        candidates = np.arange(last.max() + 1)
        left = edges_below(place, last, tails)
        ahead, behind = outermost(place, step, left)
        below, above = left == 0, left == last[:, None] + 2  # the mean lies outside the window
        edges = np.arange(len(candidates) + 1)
        ratio = self.ratios[:, channel, :, None]
        first = np.where(below, 1.0, ahead)[..., None]
        to_right = np.multiply.accumulate(
            np.where(edges < left[..., None], 1.0, np.where(edges == left[..., None], first, ratio)), axis=2
        )
        first = np.where(above, 1.0, behind)[..., None]
        from_right = np.where(
            edges > left[..., None] - 1, 1.0, np.where(edges == left[..., None] - 1, first, ratio)
        )
        to_left = np.multiply.accumulate(from_right[..., ::-1], axis=2)[..., ::-1]
        apart = np.where(edges >= left[..., None], to_right, to_left)
        tail = apart * np.where(below, ahead, np.where(above, behind, 1.0))[..., None]
        tail[tails[0], :, 0] = 0.0
        top = np.nonzero(tails[1])[0]
        tail[top, :, last[top] + 1] = 0.0
        inverse = 1 / (1 + tail)
        share = np.where(
            candidates >= left[..., None],
            apart[..., :-1],
            np.where(candidates == left[..., None] - 1, 1.0, apart[..., 1:]),
        )
        exponent = self.exponent + np.where(
            below, place * step, np.where(above, (last[:, None] + 1 - place) * step, 0.0)
        )
        weight = self.scale * exponential(exponent - exponent.max(axis=1, keepdims=True))
        weights = np.repeat((weight * inner)[..., None], len(candidates), axis=2)
        weights[tails[0], :, 0] = weight[tails[0]]
        weights[top, :, last[top]] = weight[top]
        masses = weights * share * (inverse[..., :-1] * inverse[..., 1:])
        total = masses[:, 0]
        for k in range(1, masses.shape[1]):
            total = total + masses[:, k]
        total[candidates > last[:, None]] = -1.0
        return total

    def _take(
        self,
        channel: int,
        place: np.ndarray,
        last: np.ndarray,
        tails: tuple[np.ndarray, np.ndarray],
        best: np.ndarray,
    ) -> None:
        """Weigh each component by the mass that it gives the chosen candidate."""
        lowest, highest = (tails[0] & (best == 0))[:, None], (tails[1] & (best == last))[:, None]
        index, step = best[:, None], self.steps[:, channel]
        before, after = (place - index) * step, (index + 1 - place) * step
        below, above = exponential(-np.abs(np.stack([before, after])))
        inverses = 1 / (1 + np.where(lowest, 0.0, below)) * (1 / (1 + np.where(highest, 0.0, above)))
        self.scale = self.scale * (np.where(lowest | highest, 1.0, self.inner[:, channel]) * inverses)
        self.exponent = self.exponent + (
            np.where(lowest, 0.0, np.minimum(before, 0.0)) + np.where(highest, 0.0, np.minimum(after, 0.0))
        )


def edges_below(place: np.ndarray, last: np.ndarray, tails: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """How many of a window's edges 0 .. last + 1 lie below `place`, int64 (N, K); the outermost codes reach
    to infinity."""
    end = last[:, None] + 1
    return np.clip(np.ceil(place), tails[0][:, None], np.where(tails[1][:, None], end, end + 1)).astype(
        np.int64
    )


def outermost(place: np.ndarray, step: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """exp(-|edge|) of the first edge from the mean on, and of the last one before it, both (N, K)."""
    both = np.stack([(place - left) * step, (left - 1 - place) * step])
    ahead, behind = exponential(np.minimum(both, 0.0))
    return ahead, behind


def exponential(x: np.ndarray) -> np.ndarray:
    """exp(x), for x under 709, to a unit or two in the last place."""
    halvings = np.rint(x * _LOG2E)
    rest = (x - halvings * _LN2_HIGH) - halvings * _LN2_LOW
    value = np.ones_like(rest)
    for k in range(_TERMS, 0, -1):
        value = 1 + value * rest * (1 / k)
    tiny = x < _LEAST
    powers: np.ndarray = np.where(tiny, 0.0, np.ldexp(value, np.where(tiny, 0.0, halvings).astype(np.int32)))
    return powers


def one_less(ratio: np.ndarray, x: np.ndarray) -> np.ndarray:
    """1 - exp(-x), for x of at least 0 and `ratio` exp(-x)."""
    series = np.ones_like(x)
    for k in range(_SMALL_TERMS, 1, -1):
        series = 1 - series * x * (1 / k)
    return np.where(x < _SMALL, series * x, 1 - ratio)
