# SPDX-License-Identifier: Apache-2.0
"""Training of several exits: the loss terms by hand, the attacks, the draws, the order of the exits."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.networks import digits
from tinyguard.errors import TinyguardError
from tinyguard.sources.exit_order import by_depth
from tinyguard.training.ascent import Ascent
from tinyguard.training.exit_losses import (
    label_cross_entropy,
    last_exit_distillation,
    neighbour_distillation,
    orthogonal_classes,
    orthogonal_distillation,
)
from tinyguard.training.exit_objective import TERMS, Batch, MultiExit
from tinyguard.training.float_network import FloatNetwork
from tinyguard.training.phases import phases_of
from tinyguard.training.randomness import StepDraws
from tinyguard.training.recipes import RECIPES, settings_for
from tinyguard.training.train import Job, run

EXITS = [name for name, recipe in RECIPES.items() if recipe.exits]
CLEAN = torch.tensor([[(0.4, 0.3, 0.2, 0.1), (0.5, 0.2, 0.2, 0.1), (0.7, 0.1, 0.1, 0.1)]]).log()
ADVERSARIAL = torch.tensor([[(0.1, 0.2, 0.3, 0.4)] * 3]).log()
LABEL = torch.tensor([0])
KEPT = torch.tensor([[[True, True, False, False], [True, False, True, False], [True, False, False, True]]])
DRAWS = StepDraws(3, 1, 4)

SOURCE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.deep = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.first, self.second = nn.Linear(128, 10), nn.Linear(64, 10)

    def forward(self, x):
        x = self.trunk(x)
        y = self.deep(x)
        return self.second(y.flatten(1)).softmax(1), self.first(x.flatten(1)).softmax(1)


def network():
    torch.manual_seed(1)
    return Net()
"""


@pytest.fixture(autouse=True)
def a_network_and_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    Path("net.py").write_text(SOURCE)


def _opened() -> FloatNetwork:
    from tinyguard.sources.torch_files import open_torch

    return FloatNetwork(open_torch("net.py:network"), (8, 8, 1), exits=True)


def _x(count: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    samples = digits("train", count)
    return torch.from_numpy(samples.x).movedim(-1, 1).float() / 255, torch.from_numpy(samples.y)


def test_the_terms_of_neo_kd_are_the_values_by_hand() -> None:
    near = neighbour_distillation(CLEAN, ADVERSARIAL)
    torch.testing.assert_close(near, torch.tensor([1.770946, 1.842224, 1.895192]), atol=1e-6, rtol=0)
    apart = orthogonal_distillation(CLEAN, ADVERSARIAL, KEPT)
    torch.testing.assert_close(apart, torch.tensor([2.005522, 1.988696, 2.129298]), atol=1e-6, rtol=0)
    base = label_cross_entropy(CLEAN, LABEL).sum() + label_cross_entropy(ADVERSARIAL, LABEL).sum()
    assert float(base) == pytest.approx(8.873868, abs=2e-6)
    assert float(base + (3 * near + apart).sum()) == pytest.approx(31.522471, abs=5e-6)


def test_the_terms_of_the_baselines_are_cross_entropies_with_the_last_exit() -> None:
    teacher, exits = CLEAN[0, 2].exp(), CLEAN.shape[1]
    skd = [-float((teacher * CLEAN[0, i]).sum()) for i in range(exits - 1)]
    assert last_exit_distillation(CLEAN, CLEAN).tolist() == pytest.approx(skd)
    ard = -float((teacher * ADVERSARIAL[0, 0]).sum())
    assert last_exit_distillation(CLEAN, ADVERSARIAL).tolist() == pytest.approx([ard, ard])


def test_no_gradient_passes_to_a_teacher() -> None:
    clean, adversarial = CLEAN.clone().requires_grad_(), ADVERSARIAL.clone().requires_grad_()
    terms = (
        neighbour_distillation(clean, adversarial).sum()
        + orthogonal_distillation(clean, adversarial, KEPT).sum()
        + last_exit_distillation(clean, adversarial).sum()
    )
    terms.backward()
    assert clean.grad is None
    assert adversarial.grad is not None


def test_the_small_weights_of_exits_lw_are_those_of_each_exits_last_layer() -> None:
    network = _opened()
    assert isinstance(network.module.first, nn.Linear)
    assert isinstance(network.module.second, nn.Linear)
    squares = sum(
        layer.weight.square().sum().item() for layer in (network.module.first, network.module.second)
    )
    batch = Batch(network, CLEAN, ADVERSARIAL, LABEL, DRAWS)
    assert float(TERMS["exits-lw"](batch)) == pytest.approx(1e-3 * squares, rel=1e-6)


def test_a_label_without_mass_leaves_the_orthogonal_term_a_number() -> None:
    sure = torch.tensor([[(-200.0, 200.0, -300.0, 0.0)] * 3])
    kept = torch.tensor([[[True, False, True, False]] * 3])
    assert torch.isfinite(orthogonal_distillation(sure, ADVERSARIAL, kept)).all()


@pytest.mark.parametrize(("exits", "classes"), [(3, 10), (2, 10), (3, 4), (4, 11)])
def test_the_kept_classes_are_disjoint_of_one_size_and_even(exits: int, classes: int) -> None:
    count, share = 10_000, (classes - 1) // exits
    y = torch.arange(count) % classes
    kept = orthogonal_classes(y, exits, classes, DRAWS.generator(0))
    rows = torch.arange(count)
    assert kept[rows, :, y].all()
    others = kept.clone()
    others[rows, :, y] = False
    assert (others.sum(1) <= 1).all()
    assert (others.sum(2) == share).all()
    expected = count * (classes - 1) / classes * share / (classes - 1)
    spread = 5 * math.sqrt(expected)
    assert ((others.sum(0) - expected).abs() < spread).all()


def test_the_kept_classes_of_a_seed_do_not_depend_on_the_batch() -> None:
    y = torch.arange(100) % 10
    whole = orthogonal_classes(y, 3, 10, DRAWS.generator(0))
    assert torch.equal(orthogonal_classes(y[:7], 3, 10, DRAWS.generator(0)), whole[:7])
    assert not torch.equal(orthogonal_classes(y, 3, 10, DRAWS.generator(1)), whole)


def test_too_few_classes_for_the_exits_are_refused() -> None:
    with pytest.raises(TinyguardError, match="4 exits share 3: type --recipe exits-at"):
        orthogonal_classes(LABEL, 4, 4, DRAWS.generator(0))


def test_exits_come_shallowest_first_whatever_the_network_returns_first() -> None:
    network = _opened()
    assert network.outputs == (1, 0)
    x, _ = _x()
    logits = network.attacked()(x)
    assert logits.shape == (16, 2, 10)
    torch.testing.assert_close(logits[:, 0], network.attacked_at(0)(x))
    with torch.no_grad():
        deep, first = network.module(x)
    torch.testing.assert_close(logits.softmax(2)[:, 0], first)
    torch.testing.assert_close(logits.softmax(2)[:, 1], deep)


def test_depth_counts_the_operations_behind_an_output_and_no_others() -> None:
    small, large = nn.Linear(4, 5), nn.Linear(4, 50)

    def both(x: torch.Tensor) -> dict[str, torch.Tensor]:
        wide = large(x)
        return {"wide": wide.sum(1, keepdim=True), "narrow": small(x), "none": x}

    assert by_depth(both, torch.rand(2, 4)) == (2, 1, 0)


def test_max_average_keeps_the_worst_of_the_single_attacks() -> None:
    network, (x, y) = _opened(), _x(32)
    ascent = Ascent(0.2, 0.1, 3)
    moved = MultiExit(ascent).moved(network, x, y, DRAWS)
    singles = [
        ascent.run(
            network.attacked_at(i),
            network.space,
            x,
            lambda z: nn.functional.cross_entropy(z, y, reduction="sum"),
            DRAWS,
        )
        for i in range(2)
    ]

    def total(inputs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits = network.attacked()(inputs)
        return sum(nn.functional.cross_entropy(logits[:, i], y, reduction="none") for i in range(2))  # type: ignore[return-value]

    best = torch.maximum(*map(total, singles))
    torch.testing.assert_close(total(moved), best)
    average = MultiExit(ascent, "average").moved(network, x, y, DRAWS)
    assert float((average - x).abs().max()) <= 0.2 + 1e-6
    assert float(total(average).sum()) > float(total(x).sum())


@pytest.mark.parametrize("recipe", EXITS)
def test_every_recipe_trains_all_exits_and_says_how(recipe: str) -> None:
    given = {"epochs": 2, "images": 256, "batch": 32, "eps": 0.1, "steps": 2, "rise_steps": 4, "average": 0.5}
    settings = settings_for(recipe, "cpu", given)
    record = run(Job("net.py:network", settings, digits("train", 600), Path("out.npz")))
    first, last = (epoch["loss"] for epoch in record["epochs"])
    assert last < first
    before, after = np.load("out.npz"), record["settings"]
    assert not any(name.startswith("tinyguard") for name in before.files)
    assert after["exit_attack"] == "max-average"
    assert json.loads(Path("out.training.json").read_text())["settings"]["recipe"] == recipe


def test_a_run_that_stopped_goes_on_as_if_it_had_not() -> None:
    given = {"epochs": 3, "images": 128, "batch": 32, "eps": 0.1, "steps": 1}
    settings, data = settings_for("neo-kd", "cpu", given), digits("train", 400)
    whole = run(Job("net.py:network", settings, data, Path("whole.npz")))

    class StopError(Exception):
        pass

    def stop(figures: dict[str, Any]) -> None:
        if figures["epoch"] == 2:
            raise StopError

    from tinyguard.training.train import Watcher

    with pytest.raises(StopError):
        run(Job("net.py:network", settings, data, Path("parts.npz")), Watcher(stop))
    parts = run(Job("net.py:network", settings, data, Path("parts.npz"), resume=True))
    assert parts["sha256"] == whole["sha256"]


def test_without_weight_nothing_is_attacked() -> None:
    class Forbidden(Ascent):
        def run(self, *arguments: Any) -> torch.Tensor:
            raise AssertionError(arguments)

    network, (x, y) = _opened(), _x()
    loss = MultiExit(Forbidden(0.1, 0.1, 1), weight=0.0).loss(network, x, y, DRAWS)
    torch.testing.assert_close(loss, label_cross_entropy(network.logits(x), y).sum())


def test_a_run_without_an_attack_keeps_its_most_accurate_epoch() -> None:
    given = {"epochs": 3, "images": 256, "batch": 32, "adversarial_weight": 0.0, "average": 0.5}
    settings = settings_for("exits-at", "cpu", given)
    record = run(Job("net.py:network", settings, digits("train", 600), Path("clean.npz")))
    assert record["clean_accuracy"] == max(epoch["clean_accuracy"] for epoch in record["epochs"])


def test_the_schedules_are_those_of_the_card() -> None:
    cpu = settings_for("neo-kd", "cpu", {})
    (phase,) = phases_of(cpu, MultiExit(Ascent(0.3, 0.1, 5)), 54_000)
    assert (phase.epochs, phase.images, cpu.batch, cpu.steps, cpu.eps) == (15, 12_800, 128, 5, 0.3)
    assert [phase.rate_at(point * 15) for point in (0.59, 0.61, 0.86)] == pytest.approx([2e-3, 6e-4, 1e-4])
    assert phase.rise == pytest.approx(400 / 1500)
    paper = settings_for("neo-kd", "paper", {})
    (phase,) = phases_of(paper, MultiExit(Ascent(0.3, 0.1, 7)), 60_000)
    assert (paper.batch, paper.rate, paper.steps, paper.optimizer) == (256, 0.033, 7, "sgd")
    assert abs(phase.epochs * (60_000 // 256) - 13_100) < 50
    assert [phase.rate_at(x * 56) for x in (0.89, 0.9, 0.99)] == pytest.approx([0.033, 0.0033, 0.00033])


@pytest.mark.parametrize(
    ("recipe", "given", "line"),
    [
        ("pgd-at", {"exit_attack": "average"}, "--exit-attack says nothing to pgd-at, only to exits-at"),
        ("neo-kd", {"warm_up": 3}, "--warm-up says nothing to neo-kd"),
    ],
)
def test_settings_of_other_recipes_are_refused(recipe: str, given: dict[str, Any], line: str) -> None:
    with pytest.raises(TinyguardError, match=line):
        settings_for(recipe, "cpu", given)


def test_recipes_and_networks_that_do_not_fit_are_refused() -> None:
    def refused(source: str, recipe: str, **more: Any) -> str:
        with pytest.raises(TinyguardError) as error:
            run(Job(source, settings_for(recipe, "cpu", {}), digits("train", 400), Path("x.npz"), **more))
        assert "\n" not in str(error.value)
        return str(error.value)

    Path("one.py").write_text(
        "from torch import nn\n\n\ndef network():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    assert "2 outputs, and nothing says which is the answer" in refused("net.py:network", "pgd-at")
    assert "exits are outputs of one size, and the network has (10,)" in refused("one.py:network", "exits-at")
    line = refused("net.py:network", "neo-kd", output_wanted="0")
    assert "neo-kd trains every exit, and --output names one: leave it out" in line
