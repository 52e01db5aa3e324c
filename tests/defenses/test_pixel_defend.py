# SPDX-License-Identifier: Apache-2.0
"""Pixel Defend: greedy, within eps, exactly what whole evaluations give, and worth something on digits."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinyguard
from tests.defenses.networks import random_codes, random_network
from tinyguard.defenses import compiled_pixel_defend
from tinyguard.defenses.pixel_choice import exponential, one_less
from tinyguard.defenses.pixel_cnn import MaskedConvolution, load_pixel_cnn
from tinyguard.defenses.pixel_defend import purification_cost, purify
from tinyguard.defenses.pixel_likelihood import bits_per_dimension, mixture_of
from tinyguard.errors import TinyguardError

DIGITS = Path(__file__).parents[2] / "models" / "digits"


def purified_by_whole_evaluations(network, codes, eps_codes):
    """Song et al.'s algorithm 1 as it is written: the whole network anew for every value."""
    purified = codes.copy()
    height, width, channels = network.shape
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                mixture = mixture_of(network, network.parameters(purified)[:, row, column])
                for earlier in range(channel):
                    mixture = mixture.given(earlier, purified[:, row, column, earlier].astype(np.int64))
                for image, code in enumerate(codes[:, row, column, channel].tolist()):
                    window = np.arange(max(-128, code - eps_codes), min(127, code + eps_codes) + 1)
                    logs = mixture.logs(channel, np.broadcast_to(window, (len(codes), len(window))))[image]
                    purified[image, row, column, channel] = window[np.argmax(logs)]
    return purified


@pytest.mark.parametrize(("shape", "eps"), [((4, 5, 3), 38), ((5, 4, 1), 3), ((3, 3, 3), 255)])
def test_one_pixel_at_a_time_equals_whole_evaluations_exactly(shape, eps):
    network, codes = random_network(shape), random_codes(6, shape)
    np.testing.assert_array_equal(
        purify(network, codes, eps), purified_by_whole_evaluations(network, codes, eps)
    )


def test_the_digits_network_too():
    network = load_pixel_cnn(DIGITS / "pixel-cnn.npz")
    codes, _ = tinyguard.load(DIGITS / "model.tflite").codes("digits:test", limit=3)
    np.testing.assert_array_equal(
        purify(network, codes, 38), purified_by_whole_evaluations(network, codes, 38)
    )


def shortfalls(network, codes, purified, eps):
    """By how much the logarithm of each choice's likelihood is under that of the best in its window, from one
    evaluation of the whole network."""
    channels = network.shape[2]
    mixture = mixture_of(network, network.parameters(purified).reshape(-1, network.last.bias.size))
    values, given = (x.reshape(-1, channels).astype(np.int64) for x in (purified, codes))
    for channel in range(channels):
        window = np.clip(given[:, channel, None] + np.arange(-eps, eps + 1), -128, 127)
        found = mixture.logs(channel, values[:, channel, None])[:, 0]
        yield mixture.logs(channel, window).max(axis=1) - found
        mixture = mixture.given(channel, values[:, channel])


def photographs(count):
    return np.cumsum(random_codes(count, (32, 32, 3)) // 40, axis=2).clip(-128, 127).astype(np.int8)


def test_one_evaluation_of_purified_photographs_confirms_every_choice():
    network = load_pixel_cnn(DIGITS.parent / "resnet8-cifar10" / "pixel-cnn.npz")
    codes = photographs(2)
    for shortfall in shortfalls(network, codes, purify(network, codes, 8), 8):
        assert shortfall.max() <= 1e-12


def sharpened(network, factor):
    """The network with its output times `factor`: means far outside the codes, scales of all sizes."""
    last = network.last
    return replace(network, last=MaskedConvolution(last.taps, last.weights * factor, last.bias * factor))


@pytest.mark.parametrize(("shape", "mixtures"), [((4, 5, 3), 3), ((5, 4, 1), 2), ((3, 3, 2), 7)])
@pytest.mark.parametrize("factor", [1, 8, 256])
@pytest.mark.parametrize("eps", [0, 1, 38, 255])
def test_c_and_numpy_find_the_same_bits(shape, mixtures, factor, eps, monkeypatch):
    assert compiled_pixel_defend.available(), "the project's machines have a C compiler"
    network, codes = sharpened(random_network(shape, mixtures=mixtures), factor), random_codes(21, shape)
    codes[0], codes[1] = -128, 127
    fast = purify(network, codes, eps)
    for lanes in (2, 4, 8):
        if lanes <= compiled_pixel_defend.most_lanes():
            np.testing.assert_array_equal(compiled_pixel_defend.purified(network, codes, eps, lanes), fast)
    monkeypatch.setattr(compiled_pixel_defend, "available", lambda: False)
    np.testing.assert_array_equal(fast, purify(network, codes, eps))
    if factor < 256:  # beyond it, logarithms of likelihoods are infinite
        for shortfall in shortfalls(network, codes, fast, eps):
            assert shortfall.max() <= 1e-9


def test_photographs_too(monkeypatch):
    network = load_pixel_cnn(DIGITS.parent / "resnet8-cifar10" / "pixel-cnn.npz")
    codes = photographs(9)
    fast = purify(network, codes, 16)
    monkeypatch.setattr(compiled_pixel_defend, "available", lambda: False)
    np.testing.assert_array_equal(fast, purify(network, codes, 16))


def test_exponentials_are_right_to_the_last_places():
    x = np.concatenate([np.linspace(-708, 8, 20_001), [-1e-300, 0.0, -1e9]])
    expected = np.array([math.exp(value) for value in x])
    np.testing.assert_allclose(exponential(x), np.where(x < -708, 0, expected), rtol=4e-16)
    x = np.concatenate([np.geomspace(1e-12, 50, 5_001), [0.0]])
    expected = np.array([-math.expm1(-value) for value in x])
    np.testing.assert_allclose(one_less(exponential(-x), x), expected, rtol=6e-16)


@pytest.mark.parametrize("eps", [0, 1, 38, 255])
def test_values_stay_within_eps_and_the_codes(eps):
    network, codes = random_network((4, 5, 3)), random_codes(5, (4, 5, 3))
    codes[0], codes[1] = -128, 127
    purified = purify(network, codes, eps)
    assert purified.dtype == np.int8
    assert np.abs(purified.astype(int) - codes).max() <= eps
    assert (purified != codes).any() == (eps > 0)


def test_the_batch_changes_nothing():
    network, codes = random_network((4, 5, 3)), random_codes(7, (4, 5, 3))
    seen = []
    whole = purify(network, codes, 38)
    np.testing.assert_array_equal(purify(network, codes, 38, batch=3, progress=seen.append), whole)
    assert seen == [3, 6, 7]


def test_likely_images_are_left_alone_in_the_adaptive_variant():
    network, codes = random_network((4, 5, 3)), random_codes(6, (4, 5, 3))
    bits = bits_per_dimension(network, codes)
    limit = float(np.median(bits))
    purified = purify(network, codes, 38, likely_bits=limit)
    np.testing.assert_array_equal(purified[bits <= limit], codes[bits <= limit])
    np.testing.assert_array_equal(purified[bits > limit], purify(network, codes, 38)[bits > limit])


def test_the_cost_counts_multiplications():
    cost = purification_cost(random_network((4, 5, 3), mixtures=3), 38)
    layers = 12 * 4 * 6 + 2 * (5 * 6 * 6 + 6 * 6) + 6 * 3 * 10
    assert (cost.evaluations, cost.macs) == (20, layers)
    assert cost.total_macs == 20 * layers
    assert cost.published_macs == 60 * 20 * layers
    assert cost.masses == 60 * 77 * 3


def test_what_does_not_fit_is_refused_in_one_line():
    network = random_network((4, 5, 3))
    for codes, eps, words in (
        (random_codes(1, (5, 4, 3)), 38, "takes int8 (4, 5, 3)"),
        (random_codes(1, (4, 5, 3)).astype(np.int16), 38, "int16"),
        (random_codes(1, (4, 5, 3)), 256, "between 0 and 255"),
    ):
        with pytest.raises(TinyguardError) as refused:
            purify(network, codes, eps)
        assert words in str(refused.value)
        assert "\n" not in str(refused.value)


def test_digits_win_back_what_an_attack_that_does_not_know_of_it_took():
    pytest.importorskip("torch")
    model, network = tinyguard.load(DIGITS / "model.tflite"), load_pixel_cnn(DIGITS / "pixel-cnn.npz")
    codes, labels = model.codes("digits:test", limit=100)
    attacked = model.attack("pgd", codes, labels, eps=0.1, steps=10, restarts=1).x

    def accuracy(x):
        return float(np.mean(model.run(x).argmax(axis=1) == labels))

    purified = purify(network, attacked, 38)
    assert bits_per_dimension(network, purified).mean() < bits_per_dimension(network, attacked).mean() - 3
    assert accuracy(purify(network, codes, 38)) > 0.9
    assert accuracy(attacked) < 0.3
    assert accuracy(purified) > accuracy(attacked) + 0.3
