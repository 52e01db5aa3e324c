# SPDX-License-Identifier: Apache-2.0
"""Every recipe trains digits; the robust ones really withstand an attack that they do not know."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.networks import DIGITS, EPS, digits, small_network
from tinyguard.attacks.pgd import PGD
from tinyguard.attacks.problem import Problem
from tinyguard.attacks.space import continuous
from tinyguard.attacks.victim import FloatVictim, IntegerVictim, Victim
from tinyguard.errors import TinyguardError
from tinyguard.simulator.network import Simulator
from tinyguard.sources.torch_files import open_torch
from tinyguard.tflite import read_metadata
from tinyguard.tflite.reader import read_graph
from tinyguard.training.float_network import FloatNetwork
from tinyguard.training.integer_network import IntegerNetwork
from tinyguard.training.recipes import PAPER_EPS, RECIPES, find_recipe, settings_for
from tinyguard.training.train import Job, run

QUICK = {"eps": EPS, "batch": 32, "average": 0.98, "images": None}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trained(
    folder: Path, recipe: str, source: str | None = None, **given: Any
) -> tuple[Path, dict[str, Any]]:
    integer = RECIPES[recipe].integer
    output = folder / f"{recipe}{'.tflite' if integer else '.npz'}"
    source = source or (str(DIGITS) if integer else small_network(folder))
    record = run(Job(source, settings_for(recipe, "cpu", QUICK | given), digits(), output))
    return output, record


def robust(victim: Victim, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Clean accuracy, and accuracy under PGD-20 with two starts."""
    right = victim.query(x).decided == y
    problem = Problem(victim, x, y, None, torch.arange(len(x)), seed=7).select(right)
    found = PGD(EPS, steps=20, restarts=2).run(problem)
    return float(right.double().mean()), float((~found.success).sum()) / len(x)


def float_accuracies(source: str) -> tuple[float, float]:
    """Of 100 held-out digits."""
    network = FloatNetwork(open_torch(source), (8, 8, 1))
    test = digits("test", 100)
    x = network.laid_out(torch.from_numpy(test.x))
    victim = FloatVictim(network.attacked(), continuous((1, 8, 8)), 10)
    return robust(victim, x, torch.from_numpy(test.y))


def integer_accuracies(path: Path) -> tuple[float, float]:
    """Of 100 held-out digits."""
    network = IntegerNetwork(read_graph(path), read_metadata(path))
    test = digits("test", 100)
    x = network.laid_out(torch.from_numpy((test.x ^ np.uint8(128)).view(np.int8)))
    victim = IntegerVictim(Simulator(read_graph(path)), network.space)
    return robust(victim, x, torch.from_numpy(test.y))


def test_adversarial_training_makes_an_untrained_network_accurate_and_robust(tmp_path: Path) -> None:
    fast, _ = trained(tmp_path, "fast", epochs=6)
    clean, left = float_accuracies(f"{small_network(tmp_path)}:{fast}")
    assert clean > 0.9
    assert left > 0.4
    pgd, record = trained(tmp_path, "pgd-at", f"{small_network(tmp_path)}:{fast}", warm_up=0, epochs=3)
    clean, left = float_accuracies(f"{small_network(tmp_path)}:{pgd}")
    assert clean > 0.9
    assert left > 0.45
    assert record["epochs"][0]["phase"] == "pgd-at"


def test_training_the_integer_network_makes_it_robust(tmp_path: Path) -> None:
    before = integer_accuracies(DIGITS)
    output, record = trained(tmp_path, "int8-at", warm_up=4, epochs=4, warm_up_rate=0.02, rate=0.01, rise=0.2)
    clean, left = integer_accuracies(output)
    assert before[0] > 0.97
    assert before[1] < 0.05
    assert clean > 0.9
    assert left > before[1] + 0.2
    assert record["robust_accuracy"] > 0.25


@pytest.mark.parametrize("recipe", ["trades", "sinkhorn-at", "ensemble-at", "distill"])
def test_the_other_recipes_train(recipe: str, tmp_path: Path) -> None:
    warm_up = 0 if recipe == "distill" else 2
    # How far sinkhorn-at comes in little time depends on how a processor rounds.
    length = {"epochs": 4, "images": 1280} if recipe == "sinkhorn-at" else {"epochs": 2, "images": 640}
    output, record = trained(tmp_path, recipe, warm_up=warm_up, **length)
    losses = [epoch["loss"] for epoch in record["epochs"] if epoch["phase"] == recipe]
    assert losses[1] < losses[0]
    clean, _ = float_accuracies(f"{small_network(tmp_path)}:{output}")
    # An untrained teacher knows nothing; sinkhorn-at first draws all logits together.
    assert clean > {"distill": 0.15, "sinkhorn-at": 0.3}.get(recipe, 0.8)
    others = sorted(path.name for path in tmp_path.glob("*auxiliary*"))
    wanted = ["ensemble-at.auxiliary-1.npz", "ensemble-at.auxiliary-2.npz"]
    assert others == (wanted if recipe == "ensemble-at" else [])


def test_the_papers_parameters_are_the_defaults_of_its_schedule() -> None:
    settings = settings_for("pgd-at", "paper", {})
    assert (settings.eps, settings.steps, settings.epochs, settings.batch) == (0.008, 10, 50, 32)
    assert settings.ascent_step == pytest.approx(0.0008)
    assert (settings.optimizer, settings.warm_up, settings.images) == ("sgd", 0, None)
    distill = settings_for("distill", "paper", {})
    assert (distill.temperature, distill.alpha, distill.optimizer) == (20.0, 0.1, "adam")
    sinkhorn = settings_for("sinkhorn-at", "paper", {})
    assert (sinkhorn.entropy, sinkhorn.iterations, sinkhorn.eps) == (1.0, 50, PAPER_EPS)


def test_the_cpu_schedule_is_fifteen_fast_epochs_and_five_of_the_recipe() -> None:
    for name in ("pgd-at", "sinkhorn-at", "ensemble-at", "trades"):
        settings = settings_for(name, "cpu", {"eps": 8 / 255})
        assert (settings.warm_up, settings.epochs, settings.steps, settings.images) == (15, 5, 3, 20_000)
        assert settings.ascent_step == pytest.approx(2.5 * 8 / 255 / 3)
    fast = settings_for("fast", "cpu", {})
    assert (fast.warm_up, fast.epochs, fast.images) == (0, 15, None)
    integer = settings_for("int8-at", "cpu", {})  # of a network that is robust in float
    assert (integer.warm_up, integer.epochs, integer.steps, integer.images) == (0, 5, 3, 20_000)


def test_an_unknown_recipe_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(TinyguardError, match=r"no recipe named 'pgd'; did you mean pgd-at\?"):
        find_recipe("pgd")
    with pytest.raises(TinyguardError, match="known: pgd-at, distill"):
        find_recipe("zzz")
