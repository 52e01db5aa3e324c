# SPDX-License-Identifier: Apache-2.0
"""Random networks in every runtime, in every byte: what single operators cannot show, above all the
memory plan with its reuse, views and work in place.

A failure prints the number of the graph, its operators and the first output that differs.
"""

import functools
from pathlib import Path
from typing import Any

import pytest

from tests.operators import oracles
from tests.operators.builder import SCHEMES
from tests.operators.cases_of import Case, generator, make_case
from tests.operators.known_differences import known
from tests.operators.random_graphs import LEAST_NODES, MOST_NODES, draw_graph
from tinyguard.codegen.memory import plan
from tinyguard.operators import resolve

QUICK, ALL = 10, 100

every_scheme = pytest.mark.parametrize(
    ("scheme", "numbers"),
    [
        pytest.param(
            scheme,
            numbers,
            id=f"{scheme}-{numbers.start}",
            marks=[*marks, pytest.mark.xdist_group(f"random-{scheme}-{numbers.start}")],
        )
        for scheme in SCHEMES
        for numbers, marks in ((range(QUICK), ()), (range(QUICK, ALL), (pytest.mark.slow,)))
    ],
)


@functools.cache
def drawn(scheme: str, numbers: range) -> tuple[Case, ...]:
    cases = []
    for number in numbers:
        rng = generator("random graphs", scheme, number)
        cases.append(make_case(f"random graph {scheme} {number}", draw_graph(rng, scheme), rng))
    return tuple(cases)


def check(cases: tuple[Case, ...], who: str, outputs: list[Any]) -> None:
    differences = [case.difference(actual, who) for case, actual in zip(cases, outputs, strict=True)]
    found = [d for d in differences if d]
    if found:
        pytest.fail(f"{who}: {len(found)} of {len(cases)} graphs differ\n{found[0]}", pytrace=False)


@every_scheme
def test_tensorflow_reference_computes_the_same(scheme: str, numbers: range) -> None:
    cases = drawn(scheme, numbers)
    check(cases, "tf", [oracles.tensorflow_reference(c.model, c.samples) for c in cases])


@every_scheme
def test_tflite_micro_computes_the_same(scheme: str, numbers: range) -> None:
    """But on graphs with an operator that TFLM is known to compute differently or not at all."""
    cases = tuple(c for c in drawn(scheme, numbers) if not known(c.operators, scheme, "tflm"))
    assert len(cases) > len(numbers) // 10, "too few graphs are left to compare"
    check(cases, "tflm", [oracles.tflite_micro(c.model, c.samples, len(c.expected)) for c in cases])


@every_scheme
def test_torch_computes_the_same(scheme: str, numbers: range) -> None:
    cases = drawn(scheme, numbers)
    check(cases, "torch", [oracles.torch_forward(c.graph, c.samples) for c in cases])


@every_scheme
def test_generated_c_computes_the_same(scheme: str, numbers: range, tmp_path: Path) -> None:
    cases = drawn(scheme, numbers)
    outputs = oracles.host_c([(c.graph, c.samples) for c in cases], tmp_path / "project")
    check(cases, "host C", outputs)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_graphs_have_branches_and_share_memory(scheme: str) -> None:
    """The draw is worth its name: joins, several inputs and outputs, views, overwriting, reuse."""
    graphs = [case.graph for case in drawn(scheme, range(QUICK, ALL))]
    assert all(LEAST_NODES <= len(g.nodes) <= MOST_NODES for g in graphs)
    assert {len(g.nodes) for g in graphs} >= set(range(4, 12))
    reads = [[i for node in g.nodes for i in node.inputs if not g.tensors[i].is_constant] for g in graphs]
    assert sum(len(set(r)) < len(r) for r in reads) > len(graphs) // 3, "tensors that are read twice"
    assert sum(len(g.inputs) > 1 for g in graphs) > len(graphs) // 5
    assert sum(len(g.outputs) > 1 for g in graphs) > len(graphs) // 3
    plans = [plan(g, resolve(g)) for g in graphs]
    shared = [any(len(buffer.tensors) > 1 for buffer in p.buffers) for p in plans]
    assert sum(shared) > len(graphs) // 2, "views and work in place"
    reused = [sum(b.size_bytes for b in p.buffers) > p.arena_bytes for p in plans]
    assert sum(reused) > len(graphs) // 4, "bytes with several tenants"
