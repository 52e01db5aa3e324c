# SPDX-License-Identifier: Apache-2.0
"""diff names the first layer that differs and says what the difference looks like."""

import numpy as np
import pytest

from tests.codegen.networks import chain
from tests.graph.networks import network
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.evaluation import agreement, differences


@pytest.fixture
def traces():
    graph = chain()
    codes = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 4)).astype(np.int8)
    expected = ReferenceBackend(graph).tensors(codes)
    return graph, expected, {index: array.copy() for index, array in expected.items()}


def test_equal_traces_have_no_difference(traces):
    graph, expected, found = traces
    assert [row.how for row in differences(graph, expected, found)] == ["equal"] * 3


def test_the_first_layer_is_told_from_those_that_inherit_its_error(traces):
    graph, expected, found = traces
    first, second = graph.nodes[1].outputs[0], graph.nodes[2].outputs[0]
    found[first][0, 0, 3, 4, 2] ^= 1
    found[second][0] += 1
    rows = list(differences(graph, expected, found))
    assert [row.differing > 0 for row in rows] == [False, True, True]
    assert rows[1].inputs_equal
    assert not rows[2].inputs_equal
    assert rows[1].where == (0, 0, 3, 4, 2)
    assert rows[1].how == "off by one: rounding"


@pytest.mark.parametrize(
    ("spoil", "how"),
    [
        (lambda a: np.full_like(a, -3), "all codes are -3"),
        (lambda a: np.where(a < 100, a + 7, a + 7).astype(a.dtype), "a constant offset of +7"),
        (lambda a: a[:, :, ::-1].copy(), "the same codes in another order: layout"),
        (lambda a: np.where(np.arange(a.shape[-1]) == 1, a // 2 - 5, a), "only in channels 1"),
    ],
)
def test_the_pattern_is_put_in_words(traces, spoil, how):
    graph, expected, found = traces
    index = graph.nodes[0].outputs[0]
    expected[index] = np.clip(expected[index], -100, 100)
    found[index] = spoil(expected[index])
    assert next(iter(differences(graph, expected, found))).how.startswith(how)


def test_agreement_counts_bytes_and_predictions():
    first = np.array([[1, 2], [3, 4]], np.int16)
    second = np.array([[1, 258], [5, 4]], np.int16)
    found = agreement(network((1, 2)), [first], [second])
    assert (found.differing_bytes, found.differing_predictions, found.samples) == (2, 1, 2)


def test_without_a_meaning_bytes_alone_are_counted():
    outputs = [np.array([[1], [2]], np.int8)]
    found = agreement(network((1, 1)), outputs, outputs)
    assert (found.differing_bytes, found.differing_predictions) == (0, None)
