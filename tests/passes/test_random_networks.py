# SPDX-License-Identifier: Apache-2.0
"""All passes together on random networks: equal in every byte, in NumPy and as C on the host.

A failure prints the number of the network, which fixes its seed.
"""

import functools
from pathlib import Path

import numpy as np
import pytest

from tests.operators import oracles
from tests.operators.builder import SCHEMES, draw_samples
from tests.operators.cases_of import generator
from tests.operators.random_graphs import draw_graph
from tests.passes.networks import draw_network, prune
from tests.passes.proof import assert_same, macs
from tinyguard.graph import Graph
from tinyguard.operators import unsupported
from tinyguard.passes import PASSES, optimize

QUICK, ALL = 60, 600
C_QUICK, C_ALL = 6, 60  # compiled

every_scheme = pytest.mark.parametrize("scheme", SCHEMES)
quick_and_all = pytest.mark.parametrize(
    "numbers", [range(QUICK), pytest.param(range(QUICK, ALL), marks=pytest.mark.slow)], ids=["quick", "all"]
)


@functools.cache
def drawn(scheme: str, number: int) -> Graph:
    """Every third one is a graph of the operators' own tests, pruned."""
    rng = generator("passes", scheme, number)
    while True:
        graph = prune(draw_graph(rng, scheme), rng) if number % 3 == 2 else draw_network(rng, scheme)
        if not unsupported(graph):  # once in a thousand scales lie too far apart
            return graph


@every_scheme
@quick_and_all
def test_all_passes_keep_every_byte(scheme: str, numbers: range) -> None:
    before = after = 0
    for number in numbers:
        graph = drawn(scheme, number)
        result = optimize(graph, multiple=(1, 1, 2, 4)[number % 4])
        try:
            assert_same(graph, result)
        except Exception as error:
            error.add_note(f"network {number} of {scheme}")
            raise
        before, after = before + macs(graph), after + macs(result)
    assert after < 0.7 * before, "these networks have much to remove"


@every_scheme
@quick_and_all
def test_every_pass_finds_something_and_rests(scheme: str, numbers: range) -> None:
    found = dict.fromkeys((rewrite.__name__ for rewrite in PASSES), 0)
    for number in numbers:
        graph = drawn(scheme, number)
        for rewrite in PASSES:
            result = rewrite(graph)
            if result is not graph:
                found[rewrite.__name__] += 1
                assert_same(graph, result)
    least = {name: len(numbers) // 30 for name in found} | {"remove_unread": 0}
    assert all(count >= least[name] for name, count in found.items()), found
    assert found["eliminate_dead_channels"] > len(numbers) // 4


@every_scheme
@pytest.mark.parametrize(
    "numbers",
    [range(C_QUICK), pytest.param(range(C_QUICK, C_ALL), marks=pytest.mark.slow)],
    ids=["quick", "all"],
)
def test_the_c_of_rewritten_networks_computes_the_same(scheme: str, numbers: range, tmp_path: Path) -> None:
    graphs = [drawn(scheme, number) for number in numbers]
    samples = [draw_samples(graph, np.random.default_rng(k)) for k, graph in enumerate(graphs)]
    expected = [oracles.numpy_reference(g, s) for g, s in zip(graphs, samples, strict=True)]
    results = list(map(optimize, graphs))
    outputs = oracles.host_c(list(zip(results, samples, strict=True)), tmp_path / "project")
    for number, wanted, got in zip(numbers, expected, outputs, strict=True):
        assert all(map(np.array_equal, wanted, got)), f"network {number} of {scheme}"
