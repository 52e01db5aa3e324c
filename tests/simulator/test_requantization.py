# SPDX-License-Identifier: Apache-2.0
"""The float64 requantization against the integer one, over accumulators around every rounding edge."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyguard.arithmetic import fixed_point
from tinyguard.simulator.requantization import Requantization
from tinyguard.simulator.straight_through import keep_inside

CHANNELS = 7


def rule_of(
    multipliers: np.ndarray,
    shifts: np.ndarray,
    zero_point: int,
    clamp: tuple[int, int],
    wide: bool,
    largest: int,
) -> Requantization:
    offsets = np.full(len(multipliers), zero_point)
    return Requantization(
        multipliers.astype(np.int64),
        shifts.astype(np.int64),
        offsets,
        zero_point,
        *clamp,
        wide,
        largest,
    )


def integer_codes(rule: Requantization, accumulators: np.ndarray) -> np.ndarray:
    integer = (
        fixed_point.multiply_by_quantized_multiplier_int64
        if rule.wide
        else fixed_point.multiply_by_quantized_multiplier
    )
    scaled = integer(accumulators, rule.multipliers, rule.shifts)
    return np.clip(scaled + rule.offsets, rule.low, rule.high)


def beside_ties(rng: np.random.Generator, rule: Requantization, largest: int) -> np.ndarray:
    """Accumulators that end on and beside ties of either rounding, extremes, zero, and any."""
    final = (rng.integers(-300, 300, (1500, CHANNELS)) + 0.5) / rule.real
    first = (rng.integers(-40, 40, (500, CHANNELS)) + 0.5) * 2.0**31 / rule.multipliers
    near = np.round(np.concatenate([final, first]))
    near += rng.integers(-2, 3, near.shape)
    anywhere = rng.integers(-largest, largest + 1, (500, CHANNELS))
    edges = np.repeat([[-largest], [-1], [0], [1], [largest]], CHANNELS, axis=1)
    found = np.clip(np.concatenate([near, anywhere, edges]), -largest, largest).astype(np.int64)
    return found[len(found) % 8 :]


def check(rule: Requantization, accumulators: np.ndarray) -> None:
    exact_in_float32 = np.abs(accumulators).max() < 2**24
    for dtype in (np.float32, np.float64) if exact_in_float32 else (np.float64,):
        codes = rule.codes(torch.from_numpy(accumulators.astype(dtype)))
        assert codes.dtype == torch.float32
        np.testing.assert_array_equal(codes.numpy(), integer_codes(rule, accumulators))
        check_native(rule, (torch.from_numpy(accumulators.astype(dtype)),), accumulators)
    if np.abs(accumulators).max() < 2**31:
        upper = np.rint(accumulators / 256)
        parts = (accumulators - 256 * upper, upper)
        check_native(rule, tuple(torch.from_numpy(x.astype(np.float32)) for x in parts), accumulators)


def check_native(rule: Requantization, sums: tuple[torch.Tensor, ...], accumulators: np.ndarray) -> None:
    """The loops in C, where they serve, give the same codes and flags as torch."""
    flags = rule.outside(torch.from_numpy(accumulators.astype(np.float64)))
    for wanted in (False, True):
        codes, outside = rule.requantized(tuple(x.clone() for x in sums), wanted)
        assert codes.dtype == torch.float32
        np.testing.assert_array_equal(codes.numpy(), integer_codes(rule, accumulators))
        assert (outside is not None) == wanted
        assert outside is None or torch.equal(outside, flags)


@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.integers(4, 24),
    zero_point=st.integers(-128, 127),
    clamp=st.tuples(st.integers(-128, 127), st.integers(-128, 127)).map(lambda c: (min(c), max(c))),
    relu=st.booleans(),
    extreme=st.sampled_from((None, 1 << 30, (1 << 30) + 1, 3 << 29, (1 << 31) - 1)),
)
@settings(max_examples=40, deadline=None)
def test_one_step_in_float64_is_both_roundings(
    seed: int, bits: int, zero_point: int, clamp: tuple[int, int], relu: bool, extreme: int | None
) -> None:
    """All shifts of int8 layers, multipliers with many trailing zeros (whose ties are exact) among them."""
    rng = np.random.default_rng(seed)
    multipliers = rng.integers(1 << 30, 1 << 31, CHANNELS)
    multipliers[0] = extreme or multipliers[0]
    multipliers[1] &= -(1 << rng.integers(1, 30))
    shifts = rng.integers(-12, max(1, 31 - bits), CHANNELS)
    if relu:
        clamp = zero_point, max(zero_point, clamp[1])
    largest = (1 << bits) - 1
    rule = rule_of(multipliers, shifts, zero_point, clamp, False, largest)
    assert rule.affine_is_exact
    check(rule, beside_ties(rng, rule, largest))


@pytest.mark.parametrize(
    ("bits", "wide", "left", "one_step"),
    [
        (12, False, 6, False),
        (20, False, 0, False),
        (24, False, 4, False),
        (30, False, 0, False),
        (20, True, 4, True),
        (36, True, 0, True),
        (46, True, 0, False),
    ],
)
def test_any_range_of_codes_and_accumulators(bits: int, wide: bool, left: int, one_step: bool) -> None:
    """Shifts down to -31, codes that float32 holds: the one step where it is exact, else both roundings."""
    rng = np.random.default_rng(bits)
    for _ in range(6):
        multipliers = rng.integers(1 << 30, 1 << 31, CHANNELS)
        multipliers[:2] = 1 << 30, (1 << 31) - 1
        shifts = rng.integers(-8 if one_step else -31, left + 1, CHANNELS)
        shifts[2] = -8 if one_step else -31
        largest = (1 << bits) - 1
        rule = rule_of(multipliers, shifts, -3, (-(2**23), 2**23), wide, largest)
        assert rule.affine_is_exact == one_step
        check(rule, beside_ties(rng, rule, largest))


def test_channels_that_never_change_give_their_offset() -> None:
    rng = np.random.default_rng(5)
    multipliers, shifts = rng.integers(1 << 30, 1 << 31, CHANNELS), np.full(CHANNELS, -9)
    multipliers[3] = shifts[3] = 0
    rule = Requantization(
        multipliers, shifts, np.array([4, 4, 4, 77, 4, 4, 4]), 4, -128, 127, False, (1 << 20) - 1
    )
    accumulators = beside_ties(rng, rule_of(multipliers | 1, shifts, 4, (-128, 127), False, 1), 1 << 19)
    check(rule, accumulators)
    assert (rule.codes(torch.from_numpy(accumulators.astype(np.float32)))[:, 3] == 77).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mask_is_outside_of_the_clamp_and_not_its_edges(dtype: type) -> None:
    rng = np.random.default_rng(2)
    multipliers, shifts = rng.integers(1 << 30, 1 << 31, CHANNELS), rng.integers(-9, -2, CHANNELS)
    multipliers[0], shifts[0] = 1 << 30, -4
    rule = rule_of(multipliers, shifts, -5, (-100, 90), False, 1 << 16)
    accumulators = rng.integers(-(1 << 14), 1 << 14, (4096, CHANNELS))
    accumulators[:2, 0] = 95 << 5, -95 << 5  # exactly on the edges
    found = rule.outside(torch.from_numpy(accumulators.astype(dtype)))
    unrounded = accumulators * rule.real - 5
    np.testing.assert_array_equal(found.numpy(), (unrounded < -100) | (unrounded > 90))
    assert not found[:2, 0].any()
    gradient = torch.from_numpy(rng.normal(size=accumulators.shape).astype(np.float32))
    assert torch.equal(keep_inside(gradient, found), torch.where(found, 0.0, gradient))
    leaky = torch.where(found, gradient * 0.25, gradient)
    torch.testing.assert_close(keep_inside(gradient, found, 0.25), leaky, rtol=1e-6, atol=0)
