# SPDX-License-Identifier: Apache-2.0
"""The lookup tables against entries of TFLite's own, and interpolation against the real functions."""

import numpy as np

from tinyguard.arithmetic import tables


def test_sigmoid_table_has_the_published_entries() -> None:
    table = tables.sigmoid_table()
    published = {
        0: 32768,
        1: 33451,
        4: 35493,
        12: 40794,
        28: 49975,
        63: 61110,
        135: 65301,
        254: 65534,
        255: 65535,
    }
    assert {i: int(table[i]) for i in published} == published
    assert table.astype(np.int64).sum() == 15670629  # of the published 256 entries


def test_exp_table_is_within_its_interpolation_error() -> None:
    codes = np.arange(-32768, 32768)
    real = np.exp((codes - 32768) / 65536 * 10) * 32768  # the last code lies 1/128 of a step before 0
    assert np.abs(tables.interpolate(codes, tables.exp_table()) - real).max() < 2.5


def test_reciprocal_table_is_within_its_interpolation_error() -> None:
    codes = np.arange(-32768, 32768)
    real = 32768 / (1 + (codes + 32768) / 65536)
    found = tables.interpolate(codes, tables.one_over_one_plus_x_table())
    assert np.abs(found - np.minimum(real, 32767)).max() < 1.5


def test_round_half_away() -> None:
    x = np.array([0.5, -0.5, 1.5, -1.5, 0.49999997, 2.0, -2.4], np.float32)
    assert tables.round_half_away(x).tolist() == [1, -1, 2, -2, 0, 2, -2]
    assert tables.round_half_away(x).dtype == np.float32


def test_table_of_codes_is_indexed_by_the_code_as_a_byte() -> None:
    table = tables.table_of_codes(lambda x: x, 0.5, 3, 0.5, -7)
    for code in (-128, -1, 0, 5, 127):
        assert table[code & 0xFF] == max(-128, code - 3 - 7)


def test_checked_log2_takes_scales_within_a_thousandth_of_an_octave() -> None:
    assert tables.checked_log2(np.float32(2.0**-12)) == (-12, True)
    assert tables.checked_log2(np.float32(2.0**-12 * 1.0005)) == (-12, True)
    assert tables.checked_log2(np.float32(2.0**-12 * 1.01)) == (-12, False)
