# SPDX-License-Identifier: Apache-2.0
"""What rounding makes of perturbations: nothing left below half a code, whole codes above."""

from dataclasses import replace

import pytest

from tinyguard.attacks.pgd import PGD
from tinyguard.errors import TinyguardError
from tinyguard.robustness.trust.attenuation import attenuation

pytestmark = pytest.mark.usefixtures("one_thread")


def test_below_half_a_code_nothing_is_left(honest, samples):
    points = attenuation(honest, *samples, eps_codes=(0.3, 0.49, 0.51, 1.0, 1.6), attack=PGD(steps=5))
    below, edge, above, one, more = points
    for point in (below, edge):
        assert (point.erased, point.erased_samples, point.amplified, point.l2_ratio) == (1, 1, 0, 0)
        assert (point.integer_left, point.linf) == (1, 0)
    assert above.amplified_samples > 0.5
    assert above.amplified > 0.3
    assert above.linf == pytest.approx(1 / 255, rel=1e-4)
    assert above.l2_ratio > 1.5
    assert one.amplified_samples == 0
    assert more.linf == pytest.approx(2 / 255, rel=1e-4)
    assert all(point.erased + point.amplified <= 1 + 1e-9 for point in points)
    assert below.as_dict()["ci95"]["integer_left"][1] == 1
    assert above.eps == pytest.approx(0.51 / 255, rel=1e-4)


def test_it_needs_both_networks(honest, samples):
    with pytest.raises(TinyguardError, match="--source"):
        attenuation(replace(honest, float_victim=None), *samples)
    with pytest.raises(TinyguardError, match="no sample right"):
        attenuation(honest, samples[0][:1], (samples[1][:1] + 1) % 10)
