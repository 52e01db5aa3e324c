# SPDX-License-Identifier: Apache-2.0
"""The list of known differences is sound, and nothing beyond it passes."""

import numpy as np

from tests.operators.known_differences import KnownDifference, Tally, known, known_differences
from tinyguard.operators import operator_names


def test_every_entry_is_about_an_operator_that_runs_and_is_there_once() -> None:
    entries = known_differences()
    keys = [(d.operator, d.scheme, d.runtime, d.refused) for d in entries]
    assert {d.operator for d in entries} <= set(operator_names())
    assert len(keys) == len(set(keys))


def test_an_entry_is_found_by_operator_scheme_and_runtime() -> None:
    assert [d.largest for d in known(["ADD", "TANH"], "int8", "tflm")] == [1]
    assert known(["TANH"], "int8", "tf") == []


def test_differences_within_an_entry_pass_and_beyond_it_fail() -> None:
    allowed = [KnownDifference("TANH", "int8", "tflm", "a tie", largest=1, share=0.1)]
    tally = Tally()
    tally.count(np.zeros(20, np.int8), np.eye(1, 20, dtype=np.int8)[0])
    assert (tally.differing, tally.elements, tally.largest) == (1, 20, 1)
    assert tally.excess(allowed) == ""
    assert tally.excess([]).startswith("1 of 20 elements differ (share 0.05) by up to 1")
    tally.count(np.zeros(1, np.int8), np.full(1, -2, np.int8))
    assert "by up to 2; known: share 0.1 by up to 1" in tally.excess(allowed)


def test_the_widest_difference_of_a_type_is_counted_without_wrapping() -> None:
    tally = Tally()
    tally.count(np.array([-128], np.int8), np.array([127], np.int8))
    assert tally.largest == 255


def test_a_refusal_needs_an_entry_with_its_words() -> None:
    allowed = [KnownDifference("TRANSPOSE", "int8", "tflm", "rank 6", refused="failed to allocate")]
    assert Tally(refusals=["TFLM failed to allocate tensors"]).excess(allowed) == ""
    assert Tally(refusals=["Registration failed"]).excess(allowed) == "1 files refused: Registration failed"
