# SPDX-License-Identifier: Apache-2.0
"""Policies as typed, exits put into a file and taken out, and what a file with exits is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.exits.networks import POLICIES, codes, exits_file, plain_file
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.defenses.feature_squeezing import with_squeezing
from tinyguard.defenses.input_filters import with_filters
from tinyguard.defenses.monte_carlo_dropout import find_sites, with_stochastic
from tinyguard.errors import TinyguardError
from tinyguard.evaluation.abstention import abstention
from tinyguard.exits.exit_rows import exit_rows
from tinyguard.exits.figures import efficacy_of, figures_of
from tinyguard.exits.measured import measure
from tinyguard.exits.stage_costs import Costs, costs_in_macs
from tinyguard.exits.typed_policy import parse_percent, typed_exit, typed_policy
from tinyguard.exits.with_exits import exits_in, with_exits
from tinyguard.graph import with_settings
from tinyguard.graph.answer import decide
from tinyguard.graph.exit_policy import Policy, only_exit, policy_of
from tinyguard.graph.multi_exit import answer_kind, stages_of, taken_of
from tinyguard.operators import resolve
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, with_one_output
from tinyguard.tflite.record.exits import Exits
from tinyguard.tflite.record.filters import parse_filter
from tinyguard.tflite.record.squeezing import Squeezing
from tinyguard.tflite.record.stochastic import Stochastic

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
X = codes(60)


@pytest.mark.parametrize(
    ("kind", "thresholds", "policy"),
    [
        ("confidence", "230,200", Policy("confidence", (230, 200))),
        ("margin", "0, 256", Policy("margin", (0, 256))),
        ("entropy", "-1,3401", Policy("entropy", (-1, 3401))),
        ("patience", "3", Policy("patience", (3,))),
        ("never", None, Policy("never")),
    ],
)
def test_a_policy_is_what_was_typed(kind: str, thresholds: str | None, policy: Policy) -> None:
    assert typed_policy(read_graph(exits_file()), kind, thresholds) == policy


@pytest.mark.parametrize(
    ("kind", "thresholds", "words"),
    [
        ("confidence", "230,257", "takes thresholds from 0 to 256 and got 257: type --thresholds 230,230"),
        ("margin", "-1,9", "the policy margin takes thresholds from 0 to 256 and got -1: type --thresholds"),
        ("entropy", "3402,0", "the policy entropy takes thresholds from -1 to 3401 and got 3402"),
        ("patience", "4", "takes thresholds from 1 to 3 and got 4: type --thresholds 2"),
        ("patience", "0", "takes thresholds from 1 to 3 and got 0"),
        ("confidence", "230", "of 3 exits takes 2 thresholds and got 1: type --thresholds 230,230"),
        ("confidence", "230,200,9", "of 3 exits takes 2 thresholds and got 3"),
        ("margin", None, "of 3 exits takes 2 thresholds and got 0: type --thresholds 40,40"),
        ("patience", "2,2", "of 3 exits takes 1 threshold and got 2"),
        ("never", "1", "of 3 exits takes 0 thresholds and got 1: leave them out"),
        ("confidence", "230,high", "thresholds '230,high' are no whole numbers: type --thresholds 230,230"),
        ("confidence", "230,0.5", "are no whole numbers"),
        ("confidnce", "230,200", "no exit policy named 'confidnce'; did you mean confidence?"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_one_line(
    kind: str, thresholds: str | None, words: str
) -> None:
    with pytest.raises(TinyguardError) as refused:
        typed_policy(read_graph(exits_file()), kind, thresholds)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_network_without_exits_has_no_policy() -> None:
    for refused in (lambda g: typed_policy(g, "never", None), lambda g: typed_exit(g, 1)):
        with pytest.raises(TinyguardError, match=r"the network has no exits: type tinyguard quantize SOURCE"):
            refused(read_graph(DIGITS))


def test_one_exit_alone_answers() -> None:
    graph = read_graph(exits_file())
    for number in (1, 2, 3):
        policy = typed_exit(graph, number)
        outputs = Simulator(with_settings(graph, policy.values())).run(X)
        assert set(taken_of(graph, outputs)) == {number - 1}
    for number in (0, 4, -1):
        with pytest.raises(TinyguardError, match=rf"no exit {number}: the network has exits 1 to 3"):
            typed_exit(graph, number)


def test_a_budget_is_a_percentage() -> None:
    assert (parse_percent("60%"), parse_percent(" 12.5 % ")) == (0.6, 0.125)
    for text in ("60", "0%", "101%", "-5%", "%", "1e1%"):
        with pytest.raises(TinyguardError, match=r"type --budget 60%"):
            parse_percent(text)


def test_exits_are_put_into_a_file_and_taken_out() -> None:
    exits = Exits((2, 1, 0), POLICIES[2], "mean")
    changed = with_exits(exits_file(), exits)
    assert exits_in(changed) == exits
    graph = read_graph(changed)
    assert (policy_of(graph), answer_kind(graph)) == (POLICIES[2], "mean")
    assert with_exits(changed, None) == with_exits(plain_file(), None)
    assert len(read_graph(with_exits(changed, None)).outputs) == 3
    with pytest.raises(TinyguardError, match="the network has no exits"):
        exits_in(with_exits(changed, None))


def test_costs_count_the_heads_before() -> None:
    graph = read_graph(exits_file())
    macs = [operator.macs for operator in resolve(graph)]
    costs = costs_in_macs(graph)
    assert costs.up_to == tuple(sum(macs[: stage.end]) for stage in stages_of(graph))
    assert costs.up_to[-1] == sum(macs)
    rows = exit_rows(graph, costs)
    assert [(row.exit, row.first_layer, row.last_layer) for row in rows] == [(1, 0, 3), (2, 4, 7), (3, 8, 11)]
    assert sum(row.macs for row in rows) == rows[-1].cost
    assert rows[-1].share == 1


@pytest.mark.parametrize("answer", ["taken", "mean"])
def test_what_each_exit_would_answer_is_what_it_answers_alone(answer: str) -> None:
    graph = read_graph(exits_file(answer=answer))
    said = measure(graph, X, simulator=ReferenceBackend(graph)).said(answer)
    np.testing.assert_array_equal(said, measure(graph, X).said(answer))
    for place in range(3):
        used = with_settings(graph, only_exit(place + 1, 3).values())
        np.testing.assert_array_equal(decide(used, Simulator(used).run(X)).label, said[:, place])


def test_figures_by_hand() -> None:
    taken = np.array([0, 0, 0, 1, 0, 1, 2, 0])
    right = np.array([1, 1, 1, 1, 0, 0, 1, 1], bool)
    anytime = np.array([[1, 1, 1]] * 4 + [[0, 1, 1]] * 4, bool)
    figures = figures_of(taken, Costs((20, 50, 100), "cycles"), right, anytime)
    assert [place.share for place in figures.exits] == [0.625, 0.25, 0.125]
    assert [place.accuracy for place in figures.exits] == [0.8, 0.5, 1.0]
    assert [place.anytime for place in figures.exits] == [0.5, 1.0, 1.0]
    assert figures.mean_cost == 0.625 * 20 + 0.25 * 50 + 0.125 * 100
    assert figures.saving == pytest.approx(1 - 37.5 / 100)
    assert figures.mean_exit == 1.5
    assert figures.accuracy == 0.75
    # (0, 0), (0.2, 0.625), (0.5, 0.875), (1, 1)
    assert figures.efficacy == pytest.approx(0.2 * 0.3125 + 0.3 * 0.75 + 0.5 * 0.9375)
    unlabelled = figures_of(np.zeros(4, int), Costs((20, 100), "MACs"))
    assert unlabelled.accuracy is None
    assert [(one.accuracy, one.anytime) for one in unlabelled.exits] == [(None, None)] * 2
    assert unlabelled.saving == 0.8


def test_efficacy_at_its_ends() -> None:
    assert efficacy_of([1, 0, 0], [0.1, 0.6, 1]) == pytest.approx(1 - 0.1 / 2)
    assert efficacy_of([0, 0, 1], [0.1, 0.6, 1]) == pytest.approx((1 - 0.6) / 2)


def test_exits_and_what_else_stands_in_place_of_the_network_exclude_each_other() -> None:
    file, one_output = exits_file(), with_one_output(plain_file(), 0)
    site = find_sites(read_graph(one_output), ["auto"])
    stochastic, squeezing = Stochastic(site, 26, 2, 1, -1), Squeezing((parse_filter("median"),), 9)
    exits = Exits((0, 1), Policy("never"))
    for title, add in (
        ("stochastic passes", lambda data: with_stochastic(data, stochastic)),
        ("feature squeezing", lambda data: with_squeezing(data, squeezing)),
    ):
        with pytest.raises(TinyguardError, match=rf"{title}|exits") as refused:
            add(file)
        assert str(refused.value) == f"exits and {title} in one file: take one away with --remove"
        with pytest.raises(TinyguardError) as refused:
            with_exits(add(one_output), exits)
        assert str(refused.value) == f"{title} and exits in one file: take one away with --remove"


def test_a_filter_stands_before_the_first_stage() -> None:
    graph = read_graph(with_filters(exits_file(), [parse_filter("bit-depth:4")]))
    stages = stages_of(graph)
    assert [(stage.first, stage.end) for stage in stages] == [(0, 5), (5, 9), (9, 13)]
    assert policy_of(graph) == POLICIES[1]
    outputs = Simulator(graph).run(X)
    policy = policy_of(graph)
    assert policy is not None
    np.testing.assert_array_equal(taken_of(graph, outputs), measure(graph, X).taken(policy))


def test_abstention_is_refused() -> None:
    graph = read_graph(exits_file())
    with pytest.raises(TinyguardError, match="and this one has exits: type tinyguard exits"):
        abstention(graph, Simulator(graph), X, np.zeros(len(X), int))


def test_the_reference_reads_what_the_simulator_reads() -> None:
    graph = read_graph(exits_file())
    indices = [graph.nodes[1].outputs[0], graph.outputs[1]]
    found, expected = (backend.read(indices, X) for backend in (ReferenceBackend(graph), Simulator(graph)))
    assert list(found) == indices
    for index in indices:
        np.testing.assert_array_equal(found[index], expected[index])
