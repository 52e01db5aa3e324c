# SPDX-License-Identifier: Apache-2.0
"""Every check for gradient masking warns on a network that masks, and none on the honest one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.robustness.masking_networks import clamped_input, ditched, noisy, saturated_logits, sawtooth
from tinyguard.attacks.deepfool import DeepFool
from tinyguard.attacks.pgd import PGD
from tinyguard.data import load_data, shared_folder, to_codes
from tinyguard.robustness.attack_run import AttackRun, Check
from tinyguard.robustness.attacked_network import Target, open_target
from tinyguard.robustness.run import attack_samples
from tinyguard.robustness.trust.checks import checked, masking_checks
from tinyguard.robustness.trust.trials import chance, fewer_by_luck, leaky

RESNET8 = Path(__file__).parents[2] / "models" / "resnet8-cifar10" / "model.tflite"
pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = [
    "repeatable", "steps", "eps", "restarts", "full range", "random signs", "transfer", "black-box",
    "leaky mask",
]  # fmt: skip


def checks_of(
    target: Target, samples: tuple[np.ndarray, np.ndarray], attack: PGD, queries: int = 60
) -> dict[str, Check]:
    run = attack_samples(target, attack, "white-box", *samples)
    return {check.name: check for check in masking_checks(target, run, *samples, queries=queries)}


@pytest.mark.parametrize(
    "codes", [pytest.param(8, marks=pytest.mark.slow), 16, pytest.param(32, marks=pytest.mark.slow)]
)
def test_the_honest_network_is_quiet(honest, samples, codes):
    checks = checks_of(honest, samples, PGD(eps=codes / 255))
    assert list(checks) == NAMES
    warned = [check for check in checks.values() if not check.passed]
    assert not warned
    assert all(check.value is not None and np.isfinite(check.value) for check in checks.values())
    assert checks["full range"].value == 0


@pytest.mark.slow
@pytest.mark.skipif(shared_folder() is None, reason="needs CIFAR-10 in TINYGUARD_SHARED")
def test_resnet8_is_quiet():
    source = RESNET8.with_name("network.py")
    target = open_target(RESNET8, source=f"{source}:logits")
    tensor = target.graph.tensors[target.graph.inputs[0]]
    loaded = load_data("cifar10:test", tensor, limit=24)
    assert loaded.y is not None
    checks = checks_of(
        target, (to_codes(loaded, tensor, target.metadata), loaded.y), PGD(eps=1 / 255), queries=50
    )
    assert all(check.passed for check in checks.values()), checks


@pytest.mark.parametrize(
    ("network", "attack", "queries", "warns"),
    [
        (lambda t: saturated_logits(t, 32), PGD(eps=16 / 255), 20, {"restarts"}),
        (
            lambda t: clamped_input(t, 32),
            PGD(eps=32 / 255),
            100,
            {"random signs", "transfer", "black-box", "leaky mask"},
        ),
        (lambda t: noisy(t, 80), PGD(eps=16 / 255), 20, {"repeatable", "full range"}),
        (lambda t: sawtooth(t, 4), PGD(eps=6 / 255), 20, {"eps"}),
        (lambda t: ditched(t, 10), PGD(eps=16 / 255, random_start=False), 20, {"steps"}),
    ],
    ids=["saturated", "clamped", "noisy", "sawtooth", "ditched"],
)
def test_masking_networks_warn(
    honest: Target,
    samples: tuple[np.ndarray, np.ndarray],
    network: Callable[[Target], Target],
    attack: PGD,
    queries: int,
    warns: set[str],
) -> None:
    checks = checks_of(network(honest), samples, attack, queries=queries)
    warned = {name for name, check in checks.items() if not check.passed}
    assert warned >= warns, checks


def test_a_leaky_mask_gives_the_figure_where_it_is_stronger(honest, samples):
    target = clamped_input(honest, 32)
    run = attack_samples(target, PGD(eps=16 / 255), "white-box", *samples)
    trusted = checked(target, run, *samples, samples=4, queries=20)
    assert trusted.left < run.left
    assert trusted.extra["mask"] == {
        "reported": "leaky",
        "exact_robust_share_of_correct": run.left / run.correct.sum(),
        "leaky_robust_share_of_correct": trusted.left / run.correct.sum(),
    }
    outputs = target.simulator.run(trusted.x)[0]
    assert ((outputs.argmax(1) != samples[1]) == trusted.success)[trusted.correct].all()
    figures = trusted.as_dict()
    assert [check["name"] for check in figures["checks"]] == NAMES
    assert set(figures["checks"][0]) == {"name", "passed", "value"}


def test_runs_of_other_kinds_are_checked_too(honest, samples):
    codes, labels = samples[0][:4], samples[1][:4]
    bare = replace(honest, float_victim=None)
    nearest = attack_samples(bare, DeepFool(steps=5, polish_queries=10), "white-box", codes, labels)
    found = {check.name: check for check in checked(bare, nearest, codes, labels, queries=4).checks}
    assert (found["transfer"].passed, found["transfer"].value) == (True, None)
    assert "--source" in found["transfer"].note
    under = attack_samples(honest, PGD(eps=0.4 / 255), "transfer", codes, labels)
    trusted = checked(honest, under, codes, labels, queries=4)
    assert len(trusted.checks) == len(NAMES)
    assert "mask" not in trusted.extra
    targets = (labels + 1) % 10
    run = attack_samples(honest, PGD(eps=32 / 255), "white-box", codes, labels, targets=targets)
    assert len(checked(honest, run, codes, labels, queries=4).checks) == len(NAMES)
    wrong: AttackRun = replace(run, correct=np.zeros(4, bool))
    assert "no sample" in masking_checks(honest, wrong, codes, labels)[0].note


def test_a_leak_changes_no_value(honest, samples):
    assert (leaky(honest).simulator.run(samples[0])[0] == honest.simulator.run(samples[0])[0]).all()


def test_chances():
    assert chance(0, 0) == 1
    assert chance(5, 0) == 1 / 32
    assert chance(3, 1) == 5 / 16
    assert fewer_by_luck(1, 0, 1) == 0.5
    assert fewer_by_luck(2, 2, 5) > 0.5
    assert fewer_by_luck(10, 0, 10) == pytest.approx(1 / 184756)
