# SPDX-License-Identifier: Apache-2.0
"""Wilson intervals against published figures and by what defines them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyguard.robustness.intervals import wilson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_intervals(hits, count, low, high):
    assert wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


def test_no_samples_say_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 5000), st.data())
def test_ends_are_where_the_score_test_just_rejects(count, data):
    hits = data.draw(st.integers(0, count))
    low, high = wilson(hits, count)
    assert 0 <= low <= hits / count <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            z = abs(hits / count - end) / math.sqrt(end * (1 - end) / count)
            assert z == pytest.approx(1.959964, rel=1e-5)
