# SPDX-License-Identifier: Apache-2.0
"""Attacks through targets: what is counted, scored again, and refused."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from tinyguard.attacks.diva import DIVA
from tinyguard.attacks.pgd import PGD
from tinyguard.attacks.problem import Outcome
from tinyguard.attacks.square import Square
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.data import load_data, to_codes
from tinyguard.errors import TinyguardError
from tinyguard.robustness.attacked_network import FloatBackend, Target
from tinyguard.robustness.run import attack_samples
from tinyguard.robustness.stored_inputs import load_adversarial, replay, save_adversarial
from tinyguard.robustness.survival import survival
from tinyguard.robustness.targets import wanted_classes
from tinyguard.robustness.worst_case import worst_case

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
EPS = 16 / 255


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Batches are small: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def samples(honest: Target) -> tuple[np.ndarray, np.ndarray]:
    tensor = honest.graph.tensors[honest.graph.inputs[0]]
    loaded = load_data("digits:test", tensor, limit=60)
    assert loaded.y is not None
    return to_codes(loaded, tensor, honest.metadata), loaded.y


def test_figures_come_from_the_stored_inputs(honest, samples, tmp_path):
    codes, labels = samples
    run = attack_samples(honest, PGD(eps=EPS), "white-box", codes, labels)
    figures = run.as_dict()
    outputs = ReferenceBackend(honest.graph).run(run.x)[0]
    clean = ReferenceBackend(honest.graph).run(codes)[0].argmax(1) == labels
    left = (outputs.argmax(1) == labels) & clean
    assert figures["accuracy_under_attack"] == left.mean() == run.left / 60
    assert figures["clean_accuracy"] == clean.mean()
    assert figures["robust_share_of_correct"] == left.sum() / clean.sum()
    ties = (outputs.max(1) == outputs[np.arange(60), labels]) & ~left & clean
    assert figures["ties"] == ties.sum()
    moved = np.abs(run.x.astype(int) - codes).reshape(60, -1).max(1)
    assert moved.max() <= 16
    assert figures["eps_codes"] == 16
    assert (run.x[~clean] == codes[~clean]).all()
    assert figures["distortion"]["linf"]["max"] == pytest.approx(moved[run.success].max() / 255)
    assert 0 < run.success.sum() < 60

    save_adversarial(tmp_path / "adv.npz", run)
    stored = load_adversarial(tmp_path / "adv.npz")
    assert stored.record == json.loads(json.dumps(figures))
    assert stored.x.dtype == np.int8
    again = replay(stored, honest.graph, ReferenceBackend(honest.graph), honest.simulator).as_dict()
    assert (again["agreement_share"], again["differing_bytes"], again["same_model"]) == (1.0, 0, True)
    assert again["survived"] == again["successes"] == run.success.sum()


def test_the_json_has_the_promised_keys_in_order(honest, samples):
    codes, labels = samples
    figures = attack_samples(honest, PGD(eps=EPS, steps=2), "white-box", codes[:4], labels[:4]).as_dict()
    assert list(figures)[:17] == [
        "attack", "norm", "eps", "eps_codes", "setting", "scores", "backend", "samples", "clean_accuracy",
        "accuracy_under_attack", "robust_share_of_correct", "ci95", "ties", "queries_mean", "seconds",
        "distortion", "checks",
    ]  # fmt: skip
    assert {norm: set(spread) for norm, spread in figures["distortion"].items()} == {
        norm: {"max", "mean"} for norm in ("l0", "l1", "l2", "linf")
    }
    assert figures["model_sha256"] == honest.graph.sha256


def test_another_back_end_scores_the_same(honest, samples):
    codes, labels = samples
    run = attack_samples(honest, PGD(eps=EPS), "white-box", codes, labels)
    other = replace(honest, backend=ReferenceBackend(honest.graph))
    again = attack_samples(other, PGD(eps=EPS), "white-box", codes, labels)
    assert (again.x == run.x).all()
    assert (again.success == run.success).all()
    assert again.conditions.backend == "reference"


def test_black_box_queries_the_back_end(honest, samples):
    codes, labels = samples

    class Counting:
        name = "counting"
        queries = 0

        def run(self, *inputs):
            self.queries += len(inputs[0])
            return honest.simulator.run(*inputs)

    backend = Counting()
    run = attack_samples(
        replace(honest, backend=backend), Square(eps=EPS, queries=20), "black-box", codes[:10], labels[:10]
    )
    assert backend.queries == run.queries.sum() + 2 * 10
    assert run.conditions.setting == "black-box"


def test_transfer_keeps_the_real_budget_and_rounds_once(honest, samples):
    codes, labels = samples
    under = attack_samples(honest, PGD(eps=0.4 / 255), "transfer", codes, labels)
    assert (under.x == codes).all()
    assert under.as_dict()["achieved_linf"] == 0
    over = attack_samples(honest, PGD(eps=15.6 / 255, steps=10), "transfer", codes, labels)
    assert over.as_dict()["achieved_linf"] == pytest.approx(EPS)
    assert over.conditions.eps_codes == 15
    assert over.outside_budget == 0
    assert over.success.sum() > 0


def test_the_float_back_end_has_no_grid(honest, samples):
    codes, labels = samples
    target = replace(honest, backend=FloatBackend(honest.float_victim), space=honest.float_victim.space)
    run = attack_samples(target, PGD(eps=15.6 / 255, steps=10), "white-box", codes, labels)
    assert run.x.dtype == np.float32
    assert run.conditions.grid == "none"
    assert run.as_dict()["distortion"]["linf"]["max"] <= 15.6 / 255 * 1.0001
    with pytest.raises(TinyguardError, match="transfer"):
        replay(_stored(run), honest.graph, honest.simulator, honest.simulator)


def _stored(run):
    from tinyguard.robustness.stored_inputs import Adversarial

    return Adversarial(run.x, run.y, run.success, run.ids)


def test_targets_and_groups(honest, samples, monkeypatch):
    codes, labels = samples
    targets, differs = wanted_classes("3", labels, 10)
    assert differs.tolist() == (labels != 3).tolist()
    kept, climb = np.flatnonzero(differs)[:25], PGD(eps=60 / 255, steps=6)
    run = attack_samples(
        honest, climb, "white-box", codes[kept], labels[kept], ids=kept, targets=targets[kept]
    )
    assert run.success.sum() > 0
    assert (run.decided[run.success] == 3).all()
    monkeypatch.setattr("tinyguard.robustness.run._GROUP_ELEMENTS", 64 * 7)
    again = attack_samples(
        honest, climb, "white-box", codes[kept], labels[kept], ids=kept, targets=targets[kept]
    )
    assert (again.x == run.x).all()
    assert wanted_classes("next", np.array([0, 9]), 10)[0].tolist() == [1, 0]
    with pytest.raises(TinyguardError, match="class 4 already"):
        wanted_classes("4", np.array([4, 4]), 10)


@dataclass(frozen=True)
class Shifted:
    """A minimum-norm attack that finds a fixed number of codes for each sample."""

    name: ClassVar = "shifted"
    access: ClassVar = "gradient"
    budgeted: ClassVar = False
    norms: ClassVar = ("linf",)

    def run(self, problem):
        away = torch.arange(len(problem)).reshape(-1, 1, 1, 1) + 1
        noise = problem.draws.signs(0, problem.space.shape)
        x = problem.space.round(problem.x + noise * away * 4 / 255)
        decided = problem.victim.query(x).decided
        return Outcome(x, problem.fooled(decided), torch.ones(len(problem), dtype=torch.int64))


def test_minimum_norm_attacks_count_within_a_budget(honest, samples):
    codes, labels = samples
    free = attack_samples(honest, Shifted(), "white-box", codes, labels)
    bound = attack_samples(honest, Shifted(), "white-box", codes, labels, eps=100 / 255)
    far = free.distances.linf > 100.5 / 255
    assert (bound.success == (free.success & ~far)).all()
    assert bound.outside_budget == (free.success & far).sum() > 0
    assert (free.conditions.eps, bound.conditions.eps_codes) == (None, 100)


def test_worst_case_joins_samples(honest, samples):
    codes, labels = samples
    runs = [
        attack_samples(honest, attack, setting, codes, labels)
        for attack, setting in ((PGD(eps=EPS), "white-box"), (Square(eps=EPS, queries=40), "black-box"))
    ]
    worst = worst_case(runs)
    assert (worst.success == (runs[0].success | runs[1].success)).all()
    assert worst.as_dict()["accuracy_under_attack"] <= min(run.left for run in runs) / 60
    assert sum(worst.as_dict()["by"]) == worst.success.sum()
    with pytest.raises(TinyguardError, match="other samples"):
        worst_case(
            [runs[0], attack_samples(honest, PGD(eps=EPS, steps=1), "white-box", codes[:5], labels[:5])]
        )


def test_survival_counts_what_is_lost(honest, samples):
    codes, labels = samples
    run = attack_samples(honest, PGD(eps=EPS), "white-box", codes, labels)

    class Fooled:
        name = "fooled"

        def run(self, *inputs):
            return (np.eye(10, dtype=np.int8)[(labels + 1) % 10],)

    found = survival(honest, run.x, labels, Fooled(), rows=run.correct)
    won = int(run.success.sum())
    assert (found.successes, found.survived, found.lost, found.gained) == (
        int(run.correct.sum()), won, int(run.correct.sum()) - won, 0,
    )  # fmt: skip
    same = survival(honest, run.x, labels, "float")
    assert (same.lost, same.gained) == (0, 0)
    with pytest.raises(TinyguardError, match="xnnpack"):
        survival(honest, run.x, labels, "board")


@pytest.mark.parametrize(
    ("attack", "setting", "labels", "targets", "says"),
    [
        (PGD(eps=0.5 / 255), "white-box", [1], None, "--setting transfer"),
        (PGD(eps=float("nan")), "white-box", [1], None, "finite"),
        (PGD(), "white-box", [10], None, "label 10 of sample 0"),
        (PGD(), "white-box", [-1], None, "label -1"),
        (PGD(), "white-box", [1, 2], None, "one each"),
        (PGD(), "white-box", [1], [1], "its own label"),
        (PGD(), "black-box", [1], None, "white-box or transfer"),
        (PGD(), "grey-box", [1], None, "known: white-box"),
        (DIVA(), "transfer", [1], None, "--setting white-box"),
        (Square(), "white-box", [1], None, "--setting black-box"),
    ],
)
def test_refusals_are_one_line(honest, samples, attack, setting, labels, targets, says):
    wanted = None if targets is None else np.array(targets)
    with pytest.raises(TinyguardError) as refused:
        attack_samples(honest, attack, setting, samples[0][:1], np.array(labels), targets=wanted)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_transfer_needs_a_source_and_shapes_are_checked(honest, samples):
    bare = replace(honest, float_victim=None)
    with pytest.raises(TinyguardError, match="--source"):
        attack_samples(bare, PGD(), "transfer", *samples)
    with pytest.raises(TinyguardError, match="--backend float"):
        attack_samples(
            replace(honest, backend=FloatBackend(honest.float_victim)), DIVA(), "white-box", *samples
        )
    with pytest.raises(TinyguardError, match="shape"):
        attack_samples(honest, PGD(), "white-box", samples[0][:, :4], samples[1])
    with pytest.raises(TinyguardError, match=r"uint8 .* takes int8 codes"):
        attack_samples(honest, PGD(), "white-box", samples[0].view(np.uint8), samples[1])
    with pytest.raises(TinyguardError, match="labels are float64"):
        attack_samples(honest, PGD(), "white-box", samples[0], samples[1] + 0.5)
