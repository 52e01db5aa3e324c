# SPDX-License-Identifier: Apache-2.0
"""No element ever leaves its range, and the rules are as tight as the arithmetic."""

import numpy as np
import pytest

from tests.operators.builder import SCHEMES, GraphBuilder, draw_samples
from tests.operators.cases_of import generator
from tests.passes.layers import convolution, weights
from tests.passes.networks import draw_network
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.graph import Graph
from tinyguard.operators import resolve
from tinyguard.passes.ranges import ranges


def tensors(graph: Graph, rng: np.random.Generator) -> dict[int, np.ndarray]:
    samples = [x.reshape(len(x), *x.shape[2:]) for x in draw_samples(graph, rng, random=20)]
    return ReferenceBackend(graph).tensors(*samples)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_code_is_inside(scheme: str) -> None:
    for number in range(30):
        rng = generator("ranges", scheme, number)
        graph = draw_network(rng, scheme)
        found = ranges(graph, resolve(graph))
        for index, codes in tensors(graph, rng).items():
            name = graph.tensors[index].name
            assert ((found[index].low <= codes) & (codes <= found[index].high)).all(), f"{number} {name}"


def test_sums_reach_both_ends() -> None:
    """The ends of one output are what the two extreme inputs give."""
    b = GraphBuilder()
    x = b.input((1, 3, 3, 2), "int8", 0.03, 7)
    w = weights(4, 3, 3, 2)
    y = convolution(b, x, w, [9, -80, 700, 0], zero_point=5, padding="VALID", activation="NONE", scale=1.0)
    graph = b.graph()
    found = ranges(graph, resolve(graph))[y]
    extremes = np.where(w > 0, 127, -128).astype(np.int8), np.where(w > 0, -128, 127).astype(np.int8)
    for end, samples in zip((found.high, found.low), extremes, strict=True):
        (codes,) = ReferenceBackend(graph).run(samples)
        assert np.array_equal(end.ravel(), np.diagonal(codes.reshape(4, 4)))
