# SPDX-License-Identifier: Apache-2.0
"""gemmlowp's exp and reciprocal: published constants, and closeness to the real functions."""

import numpy as np

from tinyguard.arithmetic.exponential import exp_on_negative_values, one_over_one_plus_x

ONE = 2.0**31


def test_exp_of_zero_is_one() -> None:
    assert exp_on_negative_values(np.array([0]), 5).tolist() == [2**31 - 1]


def test_exp_follows_the_real_function() -> None:
    raw = -np.linspace(1, 2**31 - 1, 20001).astype(np.int64)
    real = np.exp(raw / 2.0**26)
    assert np.abs(exp_on_negative_values(raw, 5) / ONE - real).max() < 2.0**-22  # of the polynomial


def test_exp_falls_steadily() -> None:
    values = exp_on_negative_values(-np.arange(0, 31 << 26, 1 << 20), 5)
    assert (np.diff(values) <= 0).all()


def test_reciprocal_follows_the_real_function() -> None:
    raw = np.linspace(0, 2**31 - 1, 20001).astype(np.int64)
    assert np.abs(one_over_one_plus_x(raw) / ONE - 1 / (1 + raw / ONE)).max() < 2.0**-27


def test_reciprocal_at_its_ends() -> None:
    first, last = one_over_one_plus_x(np.array([0, 2**31 - 1])) / ONE
    assert abs(first - 1) < 2.0**-28
    assert abs(last - 0.5) < 2.0**-28
