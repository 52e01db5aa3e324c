# SPDX-License-Identifier: Apache-2.0
"""The stronger of several attacks, sample by sample, and when an adaptive attack is not to be believed."""

import numpy as np
import pytest

from tinyguard.campaigns.tables.defense_figures import Figure, strongest, weaker_than_transfer


def _figure(left, promising=None, rule="a") -> Figure:
    left = np.atleast_2d(np.array(left, bool))
    promising = (~left).sum(axis=0) if promising is None else np.array(promising)
    return Figure(np.ones_like(left), left, promising, rule, {rule: float(left.mean())})


def test_without_masks_a_sample_is_broken_if_either_rule_broke_it():
    first, second = _figure([1, 1, 0, 0, 1]), _figure([1, 0, 1, 0, 0], rule="b")
    both = strongest([first, second])
    np.testing.assert_array_equal(both.left, [[True, False, False, False, False]])
    assert (both.rule, both.rules) == ("b", {"a": 0.6, "b": 0.4})
    assert strongest([second, first]).rule == "b"
    assert strongest([first]) is first


def test_with_masks_the_attacker_chooses_by_his_own_seeds():
    left = np.array([[1, 1, 0], [1, 0, 0]])
    first, second = _figure(left, [0, 3, 8]), _figure(1 - left, [1, 3, 7], "b")
    both = strongest([first, second])
    # sample 0 from the second; 1, a tie, from the first; 2 from the first
    np.testing.assert_array_equal(both.left, [[False, True, False], [False, False, False]])
    np.testing.assert_array_equal(both.promising, [1, 3, 8])


def test_an_adaptive_attack_that_leaves_more_than_transfer_is_doubted():
    strong, weak = _figure([0, 0, 0, 0, 0, 1]), _figure([1, 1, 1, 1, 1, 1])
    assert weaker_than_transfer(strong, weak) == weaker_than_transfer(strong, strong) == ""
    assert (
        weaker_than_transfer(weak, strong)
        == "the attack is broken: adaptive leaves 83.3 points more than transfer, p 0.031"
    )
    assert weaker_than_transfer(_figure([1, 1, 0]), _figure([0, 1, 0])).startswith(
        "the attack gains nothing: adaptive leaves"
    )


def test_deviation_is_over_the_seeds():
    figure = _figure([[1, 1, 1, 1], [1, 1, 0, 0]]).as_dict()
    assert figure["mean"] == 0.75
    assert figure["std"] == pytest.approx(0.5 / np.sqrt(2))
    assert _figure([1, 0]).as_dict()["std"] is None
