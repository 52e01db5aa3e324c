# SPDX-License-Identifier: Apache-2.0
"""Exit gates: NumPy, simulator and compiled C agree under every policy, and do what the policies say."""

from __future__ import annotations

import numpy as np
import pytest

from tests.exits.networks import CLASSES, POLICIES, codes, exits_file
from tinyguard import passes
from tinyguard.backends.compiled import CompiledBackend
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.codegen.batch import Batch
from tinyguard.exits.measured import measure
from tinyguard.graph import Graph, with_settings
from tinyguard.graph.answer import decide
from tinyguard.graph.exit_policy import Policy, policy_of
from tinyguard.graph.multi_exit import decision_of, stages_of
from tinyguard.operators.exit_gate import NOTHING
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph

X = codes(300)


def _under(policy: Policy, answer: str = "taken") -> Graph:
    return with_settings(read_graph(exits_file(answer=answer)), policy.values())


def test_layers_lie_in_stages_that_end_in_gates() -> None:
    graph = read_graph(exits_file())
    assert [(stage.name, stage.first, stage.end) for stage in stages_of(graph)] == [
        ("exit 1", 0, 4), ("exit 2", 4, 8), ("exit 3", 8, 12),
    ]  # fmt: skip
    assert [graph.nodes[stage.end - 1].operator for stage in stages_of(graph)] == ["EXIT_GATE"] * 3
    assert policy_of(graph) == POLICIES[1]


@pytest.mark.parametrize("answer", ["taken", "mean"])
def test_every_back_end_gives_the_same_bytes_under_every_policy(
    answer: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    graphs = [passes.optimize(_under(policy, answer)) for policy in POLICIES]
    batch = Batch(graphs, tmp_path_factory.mktemp("batch") / "project", sanitize=True)
    for number, graph in enumerate(graphs):
        expected = ReferenceBackend(graph).run(X)
        for outputs in (Simulator(graph).run(X), batch.run(number, X)):
            for ours, theirs in zip(outputs, expected, strict=True):
                np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs)


@pytest.mark.parametrize("answer", ["taken", "mean"])
def test_compiled_layers_give_the_reference_tensors(answer: str) -> None:
    graph = _under(POLICIES[2], answer)
    expected = ReferenceBackend(graph).tensors(X[:20])
    found = CompiledBackend(graph).tensors(X[:20])
    assert set(found) == set(expected)
    for index, tensor in expected.items():
        np.testing.assert_array_equal(found[index], tensor)


@pytest.mark.parametrize("answer", ["taken", "mean"])
@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_a_gate_does_what_the_policy_says(policy: Policy, answer: str) -> None:
    graph = _under(policy, answer)
    outputs = Simulator(graph).run(X)
    measured = measure(graph, X)
    decision, taken = decision_of(graph, outputs), measured.taken(policy)
    rows = np.arange(len(X))
    np.testing.assert_array_equal(decision[:, 0], taken + 1)
    np.testing.assert_array_equal(decision[:, 1], measured.confidence[rows, taken])
    np.testing.assert_array_equal(decision[:, 2], measured.entropy[rows, taken])
    np.testing.assert_array_equal(decision[:, 3], measured.margin[rows, taken])
    np.testing.assert_array_equal(decide(graph, outputs).label, measured.answer(policy, answer))
    for place, shown in enumerate(outputs[2:]):
        reached = (taken >= place)[:, None]
        np.testing.assert_array_equal(shown, np.where(reached, measured.scores[:, place], NOTHING))
    if policy.kind != "never":
        assert len(set(taken)) > 1


def test_the_mean_is_that_of_the_exits_passed_rounded_down_after_half() -> None:
    policy = POLICIES[1]
    graph = _under(policy, "mean")
    measured, outputs = measure(graph, X), Simulator(graph).run(X)
    for row, place in enumerate(measured.taken(policy)):
        passed, count = measured.scores[row, : place + 1].astype(int), int(place) + 1
        expected = [(int(passed[:, i].sum()) + count // 2) // count for i in range(CLASSES)]
        assert outputs[0][row].tolist() == expected


def test_the_measures_of_a_row_by_hand() -> None:
    from tinyguard.arithmetic.entropy import entropy_table
    from tinyguard.exits.measured import Measured

    scores = np.array([[[127, 127, -128], [-128, 0, 0], [-28, -28, -70]]], np.int8)
    measured = Measured(scores, np.array([[0, 3, 9]]))
    assert measured.label.tolist() == [[0, 1, 0]]
    assert measured.confidence.tolist() == [[255, 128, 100]]
    table = entropy_table()
    assert measured.entropy.tolist() == [[2 * table[255], 2 * table[128], 2 * table[100] + table[58]]]
    assert measured.run.tolist() == [[1, 1, 1]]
    for policy, place in (
        (Policy("confidence", (255, 0)), 0), (Policy("confidence", (256, 129)), 2),
        (Policy("margin", (1, 3)), 1), (Policy("margin", (1, 4)), 2),
        (Policy("entropy", (-1, 1024)), 1), (Policy("entropy", (-1, 1023)), 2),
        (Policy("patience", (1,)), 0), (Policy("patience", (2,)), 2), (Policy("never"), 2),
    ):  # fmt: skip
        assert measured.taken(policy).tolist() == [place], policy
