# SPDX-License-Identifier: Apache-2.0
"""Budgets: texts to fractions of the pixel range, fractions to whole codes, and refusals."""

import numpy as np
import pytest

from tinyguard.data.shares import Shares
from tinyguard.errors import TinyguardError
from tinyguard.robustness.budget import check_eps, eps_codes, equal_budgets, parse_eps

STEP = float(np.float32(1 / 255))
UNIT = Shares((STEP,), (0.5,), (-128,), (127,))


@pytest.mark.parametrize(
    ("text", "eps"),
    [("8/255", 8 / 255), ("0.03", 0.03), ("2codes", 2 * STEP), ("1 code", STEP), ("1.5/255", 1.5 / 255)],
)
def test_texts(text, eps):
    assert parse_eps(text, UNIT) == pytest.approx(eps, rel=1e-12)


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "8/0", "eight", "", "nancodes", "1/255/2", "0x10"])
def test_refused_texts_are_one_line(text):
    with pytest.raises(TinyguardError) as refused:
        parse_eps(text, UNIT)
    assert "type 8/255" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_codes_of_channels_of_two_sizes_are_whole_in_all():
    shares = Shares((0.01, 0.011, 0.0105), (0, 0, 0), (0,), (0,))
    assert eps_codes(parse_eps("3codes", shares), shares.step) == 3
    assert eps_codes(0.1, shares.step) == [10, 9, 9]


def test_a_code_is_not_lost_to_float32():
    assert 8 / 255 / STEP < 8
    assert [eps_codes(n / 255, [STEP]) for n in range(256)] == list(range(256))


def test_over_the_whole_range_is_refused_in_linf_only():
    check_eps(1.0, "linf")
    check_eps(8.0, "l2")
    with pytest.raises(TinyguardError, match="8/255"):
        check_eps(8.0, "linf")
    with pytest.raises(TinyguardError):
        check_eps(float("nan"), "l2")


def test_budgets_of_the_same_codes_are_equal():
    budgets = [0.9 / 255, 1 / 255, 1.5 / 255, 2 / 255, 2.9 / 255]
    found = equal_budgets(budgets, [STEP])
    assert found == {
        0.9 / 255: 0.9 / 255,
        1 / 255: 1 / 255,
        1.5 / 255: 1 / 255,
        2 / 255: 2 / 255,
        2.9 / 255: 2 / 255,
    }
