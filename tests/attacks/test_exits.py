# SPDX-License-Identifier: Apache-2.0
"""Attacks on a network with exits: what each goal aims at, who counts as fooled, which is the stronger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.exits.networks import POLICIES, codes, exits_file, plain_file
from tinyguard.attacks.exit_goals import GOALS, Goal, aims_of, parse_goal
from tinyguard.attacks.exit_victim import (
    Average,
    Below,
    ExitVictim,
    Single,
    SoftPolicy,
    Undecided,
    Unsure,
    WrongAt,
    measure_of,
    soft_leaving,
    steps_of,
)
from tinyguard.attacks.losses import Climbed, cross_entropy
from tinyguard.attacks.pgd import PGD
from tinyguard.attacks.random_signs import RandomSigns
from tinyguard.attacks.square import Square
from tinyguard.attacks.victim import IntegerVictim
from tinyguard.errors import TinyguardError
from tinyguard.exits.measured import measure
from tinyguard.graph import with_settings
from tinyguard.graph.exit_policy import Policy
from tinyguard.graph.multi_exit import decision_of
from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.attacked_network import Target, open_target
from tinyguard.robustness.run import attack_samples
from tinyguard.robustness.stored_inputs import load_adversarial, replay, save_adversarial
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph

EPS = 6 / 255
ATTACK = PGD(eps=EPS, steps=5)
X = codes(48, seed=3)
LABELS = measure(read_graph(exits_file()), X).answer(POLICIES[1])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exits") / "exits.tflite"
    path.write_bytes(exits_file())
    return path


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _run(target: Target, attack: Any = ATTACK, setting: str = "white-box") -> AttackRun:
    return attack_samples(target, attack, setting, X, LABELS)


def _logits(seed: int = 0) -> torch.Tensor:
    return torch.randn(7, 3, 5, generator=torch.Generator().manual_seed(seed)) * 3


Y = torch.tensor([0, 1, 2, 3, 4, 0, 1])
CE = Climbed(cross_entropy, Y, None, 0.0)
EVERY = slice(0, 7)
STEPS = (0.1, 0.2, 0.1)


def test_single_and_average_are_losses_of_their_exits() -> None:
    exits = _logits()
    each = torch.stack([functional.cross_entropy(exits[:, i], Y, reduction="none") for i in range(3)])
    torch.testing.assert_close(Single(1).losses(exits, CE, EVERY), each[1])
    torch.testing.assert_close(Average().losses(exits, CE, EVERY), each.mean(0))


def test_a_soft_policy_is_a_mixture_of_the_exits_by_the_chance_of_leaving_there() -> None:
    exits = _logits()
    soft = SoftPolicy(Policy("margin", (3, 5)), STEPS)
    leave = torch.sigmoid(soft_leaving(exits, soft.policy, STEPS))
    p = exits.softmax(2)
    mixture = leave[:, :1] * p[:, 0] + (1 - leave[:, :1]) * leave[:, 1:] * p[:, 1]
    mixture += ((1 - leave[:, :1]) * (1 - leave[:, 1:])) * p[:, 2]
    torch.testing.assert_close(soft.logits(exits).exp(), mixture)
    torch.testing.assert_close(soft.logits(exits).exp().sum(1), torch.ones(7))


@pytest.mark.parametrize("policy", POLICIES[1:], ids=str)
def test_a_soft_policy_of_narrow_width_is_the_policy(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where measures lie apart from their thresholds, the hard choice is the limit."""
    from tinyguard.attacks import exit_victim

    graph = with_settings(read_graph(exits_file(policy)), policy.values())
    victim = IntegerVictim(Simulator(graph), open_space(graph))
    aimed = ExitVictim(victim, Average())
    exits = aimed.exits(victim.space.shares(X))
    if policy.kind == "patience":
        odds = soft_leaving(exits, policy, steps_of(victim))
        assert torch.isfinite(odds).all()
        assert (odds[:, 0] < -10).all()  # two exits cannot agree at the first
        return
    monkeypatch.setattr(exit_victim, "_WIDTH", dict.fromkeys(exit_victim._WIDTH, 1e-3))
    measured = measure(graph, X)
    real = measure_of(exits[:, :-1], policy.kind, steps_of(victim)).numpy()
    clear = {"margin": 2, "confidence": 4, "entropy": 40}[policy.kind]
    apart = np.abs(real - np.array(policy.thresholds)).min(1) > clear
    assert apart.sum() > 5
    leave = soft_leaving(exits, policy, steps_of(victim))[apart] > 0
    hard = np.where(leave.any(1), leave.int().argmax(1), 2)
    np.testing.assert_array_equal(hard, measured.taken(policy)[apart])


def open_space(graph: Any) -> Any:
    from tinyguard.attacks.space import space_of

    return space_of(graph.tensors[graph.inputs[0]], None)


def test_slowdown_aims_rise_as_exits_become_unsure() -> None:
    sure, flat = torch.zeros(1, 3, 5), torch.zeros(1, 3, 5)
    sure[:, :, 0] = 9.0
    soft = SoftPolicy(Policy("margin", (10, 10)), STEPS)
    one = Climbed(cross_entropy, torch.tensor([0]), None, 0.0)
    for aim in (Unsure(), Below(soft), Undecided(soft)):
        assert float(aim.losses(flat, one, slice(0, 1))) > float(aim.losses(sure, one, slice(0, 1)))
    patient = Below(SoftPolicy(Policy("patience", (2,)), STEPS))
    apart = sure.clone()
    apart[:, 1] = torch.tensor([0.0, 9.0, 0.0, 0.0, 0.0])
    assert float(patient.losses(apart, one, slice(0, 1))) > float(patient.losses(sure, one, slice(0, 1)))
    kept = [float(Unsure(keep).losses(sure, one, slice(0, 1))) for keep in (False, True)]
    assert kept[1] == pytest.approx(kept[0] - float(functional.cross_entropy(sure[:, 2], torch.tensor([0]))))


def test_early_wrong_raises_the_strongest_wrong_class_and_then_the_measure() -> None:
    exits = torch.zeros(1, 3, 5)
    exits[:, 0] = torch.tensor([3.0, 2.0, 0.0, 0.0, 0.0])
    one = Climbed(cross_entropy, torch.tensor([0]), None, 0.0)
    aim = WrongAt(0, SoftPolicy(Policy("margin", (40, 40)), STEPS))
    assert float(aim.losses(exits, one, slice(0, 1))) == pytest.approx(-1.0)
    exits[:, 0, 1] = 4.0  # it leads by 10 codes of 40, 7.5 widths of 4 short
    assert float(aim.losses(exits, one, slice(0, 1))) == pytest.approx(1.0 - 7.5)


def test_the_answer_falls_to_no_part_of_the_attack_alone(file: Path) -> None:
    answer = _run(open_target(file))
    assert answer.conditions.on == "answer"
    assert answer.conditions.policy == "confidence 90,80"
    victim = open_target(file).white_box()
    assert isinstance(victim, IntegerVictim)
    assert [type(aim).__name__ for aim in aims_of(victim)] == ["SoftPolicy", "Average", *["Single"] * 3]
    assert answer.success.sum() > 10
    for part in ("average", "max-average"):
        assert (_run(open_target(file, on=part)).success.sum()) <= answer.success.sum()


def test_an_attack_on_one_exit_is_one_on_the_network_that_answers_there(file: Path) -> None:
    measured = measure(read_graph(file), X)
    for number in (1, 2, 3):
        target = open_target(file, on=f"exit:{number}")
        run = _run(target)
        found = measure(read_graph(file), run.x)
        np.testing.assert_array_equal(run.correct, measured.label[:, number - 1] == LABELS)
        np.testing.assert_array_equal(run.decided, found.label[:, number - 1])
        moved = run.as_dict()["exits"]["transfer"]
        fooled = run.correct & (found.label[:, number - 1] != LABELS)
        for place in range(3):
            both = fooled & (measured.label[:, place] == LABELS)
            expected = (found.label[both, place] != LABELS[both]).mean() if both.any() else None
            assert moved["of_fooled"][place] == (None if expected is None else pytest.approx(expected))
        assert moved["of_fooled"][number - 1] == 1.0


def test_max_average_keeps_the_largest_summed_loss(file: Path) -> None:
    target = open_target(file, on="max-average")
    victim = target.white_box()
    assert isinstance(victim, IntegerVictim)
    run, labels = _run(target), torch.from_numpy(LABELS)

    def summed(x: np.ndarray) -> torch.Tensor:
        exits = ExitVictim(victim, Average()).exits(victim.space.shares(x))
        return functional.cross_entropy(exits.mT, labels[:, None].expand(-1, 3), reduction="none").sum(1)

    total = summed(run.x)
    from tinyguard.attacks.problem import Problem

    x = victim.space.round(victim.space.shares(X))
    for place in range(3):
        problem = Problem(
            ExitVictim(victim, Single(place)), x, labels, None, torch.arange(len(X)), 0, stop_early=False
        )
        single = victim.space.code_array(ATTACK.run(problem).x)
        assert (total >= summed(single) - 1e-4).all()


def test_a_slowdown_is_about_what_leaves_early_and_counts_later_exits(file: Path) -> None:
    run = _run(open_target(file, on="slowdown"))
    graph = read_graph(file)
    before, after = (decision_of(graph, Simulator(graph).run(x))[:, 0] for x in (X, run.x))
    assert run.base is not None
    np.testing.assert_array_equal(run.base, before < 3)
    np.testing.assert_array_equal(run.success, (before < 3) & (after > before))
    figures = run.as_dict()
    assert figures["base"] == int((before < 3).sum())
    assert figures["exits"]["mean_exit"] == pytest.approx(after.mean())
    others = [_run(open_target(file, on=f"exit:{n}")).x for n in (1, 2, 3)]
    others.append(_run(open_target(file), RandomSigns(EPS), "black-box").x)
    for x in others:
        assert after.mean() >= decision_of(graph, Simulator(graph).run(x))[:, 0].mean()
    more = _run(open_target(file, on="slowdown"), PGD(eps=EPS, steps=10))
    assert more.as_dict()["exits"]["mean_exit"] >= figures["exits"]["mean_exit"] - 0.05


def test_a_slowdown_that_keeps_the_answer_keeps_more_of_them(file: Path) -> None:
    plain = _run(open_target(file, on="slowdown"))
    kept = _run(open_target(file, on="slowdown", keep_answer=True))
    last = [measure(read_graph(file), run.x).label[:, 2] == LABELS for run in (plain, kept)]
    assert last[1].sum() >= last[0].sum()
    assert kept.as_dict()["keep_answer"] is True


def test_an_early_wrong_answer_is_wrong_and_no_later(file: Path) -> None:
    run = _run(open_target(file, on="early-wrong"))
    graph = read_graph(file)
    before, after = (decision_of(graph, Simulator(graph).run(x))[:, 0] for x in (X, run.x))
    np.testing.assert_array_equal(run.success, run.correct & (run.decided != LABELS) & (after <= before))
    assert run.success.sum() > 5


@pytest.mark.parametrize("show", ["exit", "decision"])
def test_a_slowdown_by_queries_alone(file: Path, show: str) -> None:
    run = _run(open_target(file, on="slowdown", show=show), Square(EPS, queries=60), "black-box")
    assert run.conditions.scores == show
    assert run.success.any()
    assert int(run.queries.max()) <= 60


def test_a_replay_scores_answers_and_exits(file: Path, tmp_path: Path) -> None:
    run = _run(open_target(file, on="slowdown"))
    save_adversarial(tmp_path / "adv.npz", run)
    stored, graph = load_adversarial(tmp_path / "adv.npz"), read_graph(file)
    assert stored.on == "slowdown"
    again = replay(stored, graph, Simulator(graph), Simulator(graph))
    assert (again.survived, again.successes) == (int(run.success.sum()),) * 2
    assert again.differing_exits == 0
    assert again.mean_exit == pytest.approx(json.loads(json.dumps(run.as_dict()))["exits"]["mean_exit"])


def test_what_does_not_fit_is_refused(file: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.tflite"
    plain.write_bytes(plain_file(order=(0,)))
    for path, named, line in (
        (plain, {"on": "answer"}, "the network has no exits: type tinyguard quantize SOURCE --exits auto"),
        (file, {"on": "exit:4"}, "no exit 4: the network has exits 1 to 3"),
        (file, {"on": "sideways"}, f"no --on sideways: known are {', '.join(GOALS)} and exit:N"),
    ):
        with pytest.raises(TinyguardError, match=line):
            open_target(path, **named)  # type: ignore[arg-type]
    for attack, named, line in (
        (Square(EPS), {"on": "average"}, "square takes no gradients, and --on average needs them"),
        (Square(EPS), {"on": "slowdown"}, "type --attack square --scores exit"),
        (ATTACK, {"show": "exit"}, "--scores exit goes with --on slowdown"),
        (ATTACK, {"keep_answer": True}, "--keep-answer goes with --on slowdown, not with answer"),
    ):
        setting = "white-box" if attack is ATTACK else "black-box"
        with pytest.raises(TinyguardError, match=line):
            _run(open_target(file, **named), attack, setting)  # type: ignore[arg-type]
    assert parse_goal("exit:2") == 2
    assert parse_goal("slowdown", keep_answer=True) == Goal("slowdown", keep_answer=True)
