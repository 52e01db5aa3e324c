"""The float64 requantization against the integer one, over accumulators around every rounding edge."""

import numpy as np
import pytest
import torch

from tinyguard.arithmetic import fixed_point
from tinyguard.operators._requantize import Requantization

CHANNELS = 7


def draw(rng: np.random.Generator, bits: int, wide: bool, left: int) -> tuple[Requantization, np.ndarray]:
    """A random rule for accumulators below 2**bits, and accumulators that end on and beside ties."""
    multipliers = rng.integers(1 << 30, 1 << 31, CHANNELS).astype(np.int32)
    multipliers[0], multipliers[1] = 1 << 30, (1 << 31) - 1
    shifts = rng.integers(-min(bits, 31), left + 1, CHANNELS).astype(np.int8)
    bias = rng.integers(-(1 << (bits - 2)), 1 << (bits - 2), CHANNELS)
    largest = (1 << bits) - 1
    rule = Requantization(bias, multipliers, shifts, -3, -(10**9), 10**9, wide, largest)
    ties = (rng.integers(-40, 40, (4000, CHANNELS)) + 0.5) / rule.real
    beside = np.round(ties) + rng.integers(-1, 2, ties.shape)
    anywhere = rng.integers(-largest, largest + 1, (4000, CHANNELS))
    accumulators = np.clip(np.concatenate([beside, anywhere]), -largest, largest).astype(np.int64)
    return rule, accumulators


@pytest.mark.parametrize(
    ("bits", "wide", "left"),
    [
        (12, False, 6),
        (21, False, 0),
        (22, False, 0),
        (24, False, 4),
        (30, False, 0),
        (20, True, 4),
        (36, True, 0),
    ],
)
def test_float64_codes_are_the_integer_ones(bits: int, wide: bool, left: int) -> None:
    rng = np.random.default_rng(bits)
    for _ in range(6):
        rule, accumulators = draw(rng, bits, wide, left)
        assert rule.exact
        integer = (
            fixed_point.multiply_by_quantized_multiplier_int64
            if wide
            else fixed_point.multiply_by_quantized_multiplier
        )
        expected = np.clip(integer(accumulators, rule.multipliers, rule.shifts) - 3, rule.low, rule.high)
        sums = torch.from_numpy((accumulators - rule.bias).astype(np.float64))
        rule = Requantization(
            rule.bias, rule.multipliers, rule.shifts, -3, -(2**23), 2**23, wide, rule.largest
        )
        codes = rule.codes(sums.reshape(80, -1, CHANNELS)).reshape(-1, CHANNELS).numpy()
        np.testing.assert_array_equal(codes, np.clip(expected, rule.low, rule.high))


def test_accumulators_too_wide_for_float64_are_left_to_integers() -> None:
    rule, _ = draw(np.random.default_rng(0), 45, True, 0)
    assert not rule.exact
