# SPDX-License-Identifier: Apache-2.0
"""Distances of adversarial inputs, on inputs small enough to count by hand."""

import numpy as np
import pytest

from tinyguard.robustness.distortion import distances, median, spread


def test_distances_by_hand():
    clean = np.zeros((2, 2, 2, 3), np.float32)
    moved = clean.copy()
    moved[0, 0, 0] = [0.3, -0.4, 0]
    moved[0, 1, 1, 2] = 1.2
    found = distances(clean, moved)
    assert found.l0.tolist() == [3, 0]
    assert found.l0_pixels.tolist() == [2, 0]
    assert found.l1 == pytest.approx([1.9, 0])
    assert found.l2 == pytest.approx([1.3, 0])
    assert found.linf == pytest.approx([1.2, 0])


def test_noise_of_float32_is_no_change():
    clean = np.full((1, 4), 0.1, np.float32)
    assert distances(clean, clean + np.float32(3e-8)).l0.tolist() == [0]


def test_inputs_without_height_and_width_count_elements():
    found = distances(np.zeros((1, 5)), np.array([[0, 1, 0, 1, 0]]))
    assert (found.l0.tolist(), found.l0_pixels.tolist()) == ([2], [2])


def test_no_samples_have_no_distances():
    assert distances(np.zeros((0, 2, 2, 1)), np.zeros((0, 2, 2, 1))).l2.shape == (0,)


def test_nothing_has_no_spread():
    assert spread(np.zeros(0)) == {"max": None, "mean": None}
    assert median(np.zeros(0)) is None
    assert spread(np.array([1.0, 3.0])) == {"max": 3.0, "mean": 2.0}
