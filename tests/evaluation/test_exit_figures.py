# SPDX-License-Identifier: Apache-2.0
"""What a board's counts say of exits: what each costs, and the mean, whatever counts were disturbed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.exits.networks import codes, exits_file
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.errors import TinyguardError
from tinyguard.evaluation import Evaluation, RunRecord, evaluate_device
from tinyguard.graph import with_settings
from tinyguard.graph.exit_policy import Policy
from tinyguard.graph.multi_exit import taken_of
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph

COSTS = (1000, 4000, 5000)
X = codes(40)
LABELS = np.zeros(len(X), np.int64)


class _Board:
    """Answers as the reference does, at COSTS and up to 20 more; samples whose number is in `disturbed` take
    ten times as much."""

    description = SimpleNamespace(unit="instructions")

    def __init__(self, policy: Policy, disturbed: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.graph = with_settings(read_graph(exits_file()), policy.values())
        self.disturbed, self.asked = disturbed, 0
        self.given: list[Mapping[str, tuple[int, ...]]] = []

    def set(self, values: Mapping[str, tuple[int, ...]]) -> None:
        self.given.append(values)
        self.graph = with_settings(self.graph, values)

    def infer(self, sample: np.ndarray) -> SimpleNamespace:
        if self.asked == len(X) and not self.given:
            raise TinyguardError("the port vanished")
        outputs = ReferenceBackend(self.graph).run(sample[None])
        count = COSTS[taken_of(self.graph, outputs)[0]] + self.asked % 21
        disturbed = self.asked in self.disturbed
        self.asked += 1
        count *= 10 if disturbed else 1
        return SimpleNamespace(outputs=tuple(y[0] for y in outputs), count=count, disturbed=disturbed)

    def status(self) -> SimpleNamespace:
        return SimpleNamespace(stack_high_water=100)


def _evaluated(board: _Board, folder: Path) -> Evaluation:
    graph = board.graph
    return evaluate_device(graph, board, Simulator(graph), X, LABELS, RunRecord(folder, "a"), print)  # type: ignore[arg-type]


def test_the_mean_is_the_sum_of_share_times_cost(tmp_path: Path) -> None:
    board = _Board(Policy("confidence", (90, 80)))
    result = _evaluated(board, tmp_path)
    assert result.exits is not None
    assert result.exits.unit == "instructions"
    for one, cost in zip(result.exits.exits, COSTS, strict=True):
        assert one.share > 0
        assert cost <= one.cost <= cost + 20
    assert result.per_inference == sum(one.share * one.cost for one in result.exits.exits)
    counts = RunRecord(tmp_path, "a")
    counts.load()
    assert result.per_inference == pytest.approx(np.mean(counts.counts), rel=2e-3)
    assert (result.per_inference_min, result.per_inference_max) == (min(counts.counts), max(counts.counts))
    assert board.given == []


def test_a_disturbed_sample_counts_as_its_exit_does(tmp_path: Path) -> None:
    policy = Policy("confidence", (90, 80))
    whole = _evaluated(_Board(policy), tmp_path / "whole")
    deepest = {row for row in range(len(X)) if row % 3 == 0}
    disturbed = _evaluated(_Board(policy, deepest), tmp_path / "disturbed")
    assert disturbed.per_inference == pytest.approx(whole.per_inference, rel=5e-3)
    assert disturbed.per_inference_max is not None
    assert disturbed.per_inference_max <= COSTS[2] + 20


def test_an_exit_that_nobody_took_is_counted_afterwards_and_the_policy_put_back(tmp_path: Path) -> None:
    policy = Policy("margin", (0, 256))
    board = _Board(policy)
    before = board.graph.settings
    result = _evaluated(board, tmp_path)
    assert result.exits is not None
    assert [one.share for one in result.exits.exits] == [1, 0, 0]
    for one, cost in zip(result.exits.exits, COSTS, strict=True):
        assert cost <= one.cost <= cost + 20
    assert result.exits.saving == pytest.approx(0.8, abs=0.01)
    assert len(board.given) == 4
    assert board.graph.settings == before
