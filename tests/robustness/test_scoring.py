# SPDX-License-Identifier: Apache-2.0
"""The rule for predictions and ties."""

import numpy as np

from tinyguard.robustness.scoring import score


class Echo:
    """A back end that returns its inputs."""

    name = "echo"

    def run(self, *inputs):
        return inputs


def test_the_lowest_index_among_maxima_decides_and_ties_are_told():
    outputs = np.array([[5, 5, 1], [5, 5, 1], [1, 7, 7], [9, 0, 0], [3, 3, 3]], np.int8)
    labels = np.array([0, 1, 1, 2, 2])
    found = score(Echo(), outputs, labels)
    assert found.decided.tolist() == [0, 0, 1, 0, 0]
    assert found.tied.tolist() == [False, True, False, False, True]


def test_batches_and_nothing():
    outputs = np.random.default_rng(0).integers(-128, 128, (200, 4)).astype(np.int8)
    seen = []
    found = score(Echo(), outputs, np.zeros(200, np.int64), seen.append)
    assert found.decided.tolist() == outputs.argmax(axis=1).tolist()
    assert seen[-1] == 200
    assert score(Echo(), outputs[:0], np.zeros(0, np.int64)).decided.shape == (0,)
