# SPDX-License-Identifier: Apache-2.0
"""Gradients of both networks, one-code steps and distances, against what is known of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.robustness.masking_networks import clamped_input, saturated_logits
from tinyguard.attacks.deepfool import DeepFool
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.errors import TinyguardError
from tinyguard.robustness.trust.gradients import agreement, gradient_figures, quantiles
from tinyguard.robustness.trust.surface import loss_surface

pytestmark = pytest.mark.usefixtures("one_thread")


def test_agreement_of_known_gradients():
    a = torch.tensor([[1.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    b = torch.tensor([[1.0, 2.0, 5.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = agreement(a, b)
    np.testing.assert_allclose(found.cosine[:2], [5 / 5**0.5 / 30**0.5, -1])
    assert np.isnan(found.cosine[2])
    np.testing.assert_allclose(found.signs, [1, 0, 0])
    spread = quantiles(found.cosine)
    assert spread is not None
    assert spread["q50"] == pytest.approx(np.median(found.cosine[:2]))
    assert quantiles(np.array([np.nan])) is None


def test_a_twin_has_the_same_gradients_and_distances_in_both_units(honest, samples):
    codes, labels = samples[0][:20], samples[1][:20]
    figures = gradient_figures(honest, codes, labels, elements=8).as_dict()
    assert figures["samples"] == 20
    assert figures["float_and_integer"]["cosine"]["q05"] > 0.999
    assert figures["float_and_integer"]["sign_agreement"]["q05"] > 0.99
    assert figures["zero_gradient_samples"] == 0
    boundary = figures["boundary"]
    assert boundary["found"] == 20
    assert boundary["distance_median_codes"] == pytest.approx(255 * boundary["distance"]["q50"], rel=1e-3)
    steps = figures["one_code_steps"]
    assert steps["logits_unchanged"] <= steps["own_logit_unchanged"] <= 1
    assert steps["logits_unchanged"] <= steps["output_unchanged"] <= steps["own_output_unchanged"]


def test_one_code_steps_against_every_step(honest, samples):
    """The drawn steps' share of unchanged outputs lies near that of all 64 pixels, up and down."""
    codes, labels = samples[0][:6], samples[1][:6]
    bare = replace(honest, float_victim=None)
    figures = gradient_figures(bare, codes, labels, elements=100)
    assert figures.agreement is None
    reference = ReferenceBackend(honest.graph)
    base, same = reference.run(codes)[0], []
    for element in range(64):
        for way in (-1, 1):
            moved = codes.reshape(6, 64).astype(int)
            moved[:, element] += way
            moved = np.where(np.abs(moved * 2 + 1) > 255, codes.reshape(6, 64), moved)
            inside = (moved != codes.reshape(6, 64)).any(axis=1)
            now = reference.run(moved.astype(np.int8).reshape(codes.shape))[0]
            same.append(np.where(inside, (now == base).all(axis=1), np.nan))
    assert figures.one_code.output.mean() == pytest.approx(np.nanmean(same), abs=0.05)


def test_masking_shows_in_the_figures(honest, samples):
    codes, labels = samples[0][:24], samples[1][:24]
    bare = replace(honest, float_victim=None)
    quick = DeepFool(steps=2, polish_queries=0)
    flat = gradient_figures(saturated_logits(bare, 64), codes, labels, elements=4, nearest=quick).as_dict()
    assert flat["zero_gradient_samples"] > 0.5
    dead = gradient_figures(clamped_input(bare, 32), codes, labels, elements=4, nearest=quick).as_dict()
    assert dead["zero_gradient_elements"] > 0.5
    with pytest.raises(TinyguardError, match="no sample right"):
        gradient_figures(bare, codes[:1], (labels[:1] + 1) % 10)


def test_the_surface_is_the_loss_at_whole_codes(honest, samples):
    surface = loss_surface(honest, samples[0][0], int(samples[1][0]), eps=4 / 255)
    assert surface.steps.tolist() == list(range(-8, 9))
    assert surface.eps_codes == pytest.approx(4, rel=1e-5)
    middle = surface.loss[8, 8]
    logits = honest.white_box().logits(honest.space.shares(samples[0][:1]))[0]
    label = int(samples[1][0])
    others = torch.cat([logits[:label], logits[label + 1 :]])
    assert middle == pytest.approx(float(others.max() - logits[label]), abs=1e-5)
    assert surface.decided[8, 8] == label
    assert surface.loss[12, 8] > middle > surface.loss[4, 8]
    far = loss_surface(honest, samples[0][0], label, eps=100 / 255)
    assert far.loss.shape[0] <= 41
    assert far.steps[-1] >= 200
