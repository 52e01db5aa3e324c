# SPDX-License-Identifier: Apache-2.0
"""Thresholds from data against a search through all policies, and what they are allowed to do."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tinyguard.errors import TinyguardError
from tinyguard.exits.measured import Measured
from tinyguard.exits.stage_costs import Costs
from tinyguard.exits.thresholds import (
    FOUND,
    Found,
    Trial,
    accuracy_against_cost,
    cheapest_within,
    most_accurate_for,
    trial,
    under,
)
from tinyguard.graph.exit_policy import Policy, never_leaves, only_exit, threshold_range
from tinyguard.report.exit_curve import curve_paths, write_exit_curve

COSTS = (10, 37, 80, 95)


def draw(seed: int, exits: int = 3, samples: int = 40, answer: str = "taken") -> Trial:
    """Samples of five classes, later exits right more often, the surer the more; measures take few values."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, samples)
    scores = rng.integers(-128, -60, (samples, exits, 5)) // 12 * 12
    hard = rng.random(samples)
    for place in range(exits):
        right = hard < 0.55 + 0.12 * place
        named = np.where(right, labels, (labels + rng.integers(1, 5, samples)) % 5)
        scores[np.arange(samples), place, named] = 30 + 24 * (rng.random(samples) * (1.6 - hard) * 2).astype(
            int
        )
    margin = np.sort(scores, 2)[:, :, -1] // 24 + rng.integers(0, 3, (samples, exits))
    measured = Measured(scores.clip(-128, 127).astype(np.int8), margin.astype(np.int32))
    return trial(measured, labels, Costs(COSTS[:exits], "MACs"), answer)


def all_policies(trial: Trial, kind: str) -> Iterator[Found]:
    """Under every threshold that a sample's measure equals, and the one that none reaches."""
    if kind == "patience":
        yield from (under(trial, Policy(kind, (count,))) for count in range(1, trial.measured.exits + 1))
        return
    sureness = trial.measured.of(kind)[:, :-1] * (-1 if kind == "entropy" else 1)
    low, high = threshold_range(kind, trial.measured.exits, trial.classes)
    never = never_leaves(kind, trial.measured.exits)
    tried = [[*(int(x) for x in set(column) if low <= x <= high), never] for column in sureness.T]
    for thresholds in product(*tried):
        yield under(trial, Policy(kind, thresholds))


def figures(found: Found) -> tuple[float, float]:
    return found.mean_cost, found.accuracy


@pytest.mark.parametrize("answer", ["taken", "mean"])
@pytest.mark.parametrize("exits", [2, 3])
@pytest.mark.parametrize("kind", FOUND)
def test_one_and_two_gates_are_set_as_a_search_through_all_policies_sets_them(
    kind: str, exits: int, answer: str
) -> None:
    for seed in range(4):
        tried = draw(seed, exits, answer=answer)
        every = [(found.mean_cost, -found.accuracy) for found in all_policies(tried, kind)]
        last = tried.right[:, -1].mean()
        for points in (0, 2.5, 10):
            cost, accuracy = figures(found := cheapest_within(tried, kind, points))
            assert (cost, -accuracy) == min(pair for pair in every if -pair[1] >= last - points / 100 - 1e-9)
            assert figures(under(tried, found.policy)) == (cost, accuracy)
        for share in (COSTS[0] / COSTS[exits - 1] + 1e-9, 0.5, 0.8, 1.0):
            cheap = [(accuracy, cost) for cost, accuracy in every if cost <= share * COSTS[exits - 1] + 1e-9]
            if not cheap:  # entropies of what is no softmax lie above every threshold
                assert kind == "entropy"
                continue
            found = most_accurate_for(tried, kind, share)
            assert (-found.accuracy, found.mean_cost) == min(cheap)


@pytest.mark.parametrize("kind", ["confidence", "margin"])
def test_three_gates_on_small_data_too(kind: str) -> None:
    for seed in range(8):
        tried = draw(seed, 4)
        least = tried.right[:, -1].mean() - 0.05 - 1e-9
        best = min(found.mean_cost for found in all_policies(tried, kind) if found.accuracy >= least)
        found = cheapest_within(tried, kind, 5)
        assert found.accuracy >= least
        assert found.mean_cost == best


def test_of_policies_alike_the_stricter_is_taken() -> None:
    scores = np.zeros((4, 3, 2), np.int8)
    scores[:, :, 1] = [[100, 90, 9], [90, 80, 9], [80, 70, 9], [70, 60, 9]]
    tried = trial(Measured(scores, np.zeros((4, 3), np.int32)), np.ones(4, int), Costs((1, 2, 3), "MACs"))
    assert cheapest_within(tried, "confidence", 0).policy == Policy("confidence", (70 + 128, 256))
    assert most_accurate_for(tried, "confidence", 0.9).policy == Policy("confidence", (70 + 128, 256))


def test_nothing_is_found_where_no_policy_is_as_cheap() -> None:
    tried = draw(1)
    with pytest.raises(TinyguardError, match=r"costs 5 % .* the cheapest takes 12\.5 %; type a larger"):
        most_accurate_for(tried, "margin", 0.05)
    with pytest.raises(TinyguardError, match="policy never has no thresholds to find: type --policy conf"):
        cheapest_within(tried, "never", 0.5)


def test_entropies_beyond_what_a_threshold_can_be_never_leave() -> None:
    scores = np.full((6, 2, 10), -102, np.int8)  # ten times 26/256, above log2 of 10 classes
    measured = Measured(scores, np.zeros((6, 2), np.int32))
    assert measured.entropy.min() > threshold_range("entropy", 2, 10)[1]
    tried = trial(measured, np.zeros(6, int), Costs((1, 2), "MACs"))
    assert cheapest_within(tried, "entropy", 100).policy == Policy("entropy", (-1,))


def test_many_values_are_thinned_and_the_policy_keeps_what_was_asked() -> None:
    rng = np.random.default_rng(3)
    scores = rng.integers(-128, 128, (3000, 3, 10)).astype(np.int8)
    labels = np.where(rng.random(3000) < 0.7, scores[:, 2].argmax(1), 0)
    tried = trial(Measured(scores, np.zeros((3000, 3), np.int32)), labels, Costs((10, 20, 30), "MACs"))
    assert len(np.unique(tried.measured.entropy)) > 512
    found = cheapest_within(tried, "entropy", 3)
    assert found.accuracy >= tried.right[:, -1].mean() - 0.03
    assert found.share_of_last < 1


@pytest.mark.parametrize("kind", FOUND)
def test_a_curve_rises_and_no_policy_lies_above_it(kind: str) -> None:
    tried = draw(2)
    points = accuracy_against_cost(tried, kind)
    costs, accuracies = zip(*map(figures, points), strict=True)
    assert list(costs) == sorted(set(costs))
    assert list(accuracies) == sorted(accuracies)
    every = list(all_policies(tried, kind))
    assert accuracies[-1] == max(found.accuracy for found in every)
    for point in points:
        assert point.accuracy == max(one.accuracy for one in every if one.mean_cost <= point.mean_cost)


def test_the_curve_is_a_table_and_a_picture_that_name_the_samples(tmp_path: Path) -> None:
    tried = draw(2)
    curves = {kind: accuracy_against_cost(tried, kind) for kind in FOUND}
    alone = [under(tried, only_exit(number, 3)) for number in (1, 2, 3)]
    chosen = cheapest_within(tried, "margin", 1)
    assert curve_paths(tmp_path / "c") == curve_paths(tmp_path / "c.png") == curve_paths(tmp_path / "c.csv")
    table, picture = write_exit_curve(tmp_path / "c", curves, alone, chosen, unit="MACs", samples="these")
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(table.open()))
    assert {row["policy"] for row in rows} == {
        *FOUND, "exit 1 alone", "exit 2 alone", "exit 3 alone", "chosen: margin",
    }  # fmt: skip
    assert {(row["samples"], row["unit"]) for row in rows} == {("these", "MACs")}
    last = rows[-1]
    assert [int(number) for number in last["thresholds"].split()] == list(chosen.policy.thresholds)
    assert float(last["share_of_last"]) == pytest.approx(chosen.share_of_last, abs=1e-6)
    with pytest.raises(TinyguardError, match="no folder"):
        curve_paths(tmp_path / "nowhere" / "c")
