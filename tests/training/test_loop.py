# SPDX-License-Identifier: Apache-2.0
"""A run on digits: resumed it ends as uninterrupted, a collapse sends it back, it stops when nothing
improves."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.networks import DIGITS, EPS, digits, small_network
from tinyguard.errors import TinyguardError
from tinyguard.training import loop
from tinyguard.training.recipes import settings_for
from tinyguard.training.train import Job, Watcher, run
from tinyguard.training.validation import Score


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def job(folder: Path, recipe: str = "pgd-at", name: str = "out", **given: Any) -> Job:
    source, ending = (str(DIGITS), ".tflite") if recipe == "int8-at" else (small_network(folder), ".npz")
    quick = {"eps": EPS, "epochs": 2, "warm_up": 2, "batch": 64, "steps": 2, "images": 256, "average": 0.9}
    settings = settings_for(recipe, "cpu", quick | given)
    return Job(source, settings, digits(count=400), folder / f"{name}{ending}", validation=80)


class StoppedError(Exception):
    """Stands for whatever interrupts a run."""


def interrupted_after(epochs: int) -> Watcher:
    seen = []

    def on_epoch(figures: dict[str, Any]) -> None:
        seen.append(figures)
        if len(seen) == epochs:
            raise StoppedError

    return Watcher(on_epoch)


@pytest.mark.parametrize(("recipe", "epochs"), [("pgd-at", 1), ("pgd-at", 3), ("int8-at", 3), ("trades", 2)])
def test_a_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(
    recipe: str, epochs: int, tmp_path: Path
) -> None:
    whole = job(tmp_path, recipe, "whole")
    expected = run(whole)
    parts = job(tmp_path, recipe, "parts")
    with pytest.raises(StoppedError):
        run(parts, interrupted_after(epochs))
    assert parts.output.with_suffix(".checkpoint").exists()
    assert not parts.output.exists()
    found = run(replace(parts, resume=True))
    assert parts.output.read_bytes() == whole.output.read_bytes()
    assert not parts.output.with_suffix(".checkpoint").exists()
    assert len(found["epochs"]) == len(expected["epochs"]) == 4
    for one, two in zip(found["epochs"], expected["epochs"], strict=True):
        assert [one[k] for k in ("epoch", "loss", "robust_accuracy")] == [
            two[k] for k in ("epoch", "loss", "robust_accuracy")
        ]


def test_another_seed_gives_another_network(tmp_path: Path) -> None:
    first, second = job(tmp_path, name="a", seed=1), job(tmp_path, name="b", seed=2)
    run(first)
    run(second)
    assert first.output.read_bytes() != second.output.read_bytes()


@pytest.mark.parametrize("change", [{"eps": 0.1}, {"seed": 5}])
def test_a_checkpoint_of_another_run_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    started = job(tmp_path)
    with pytest.raises(StoppedError):
        run(started, interrupted_after(1))
    with pytest.raises(TinyguardError, match=r"other settings, data or source.*--resume"):
        run(replace(started, settings=replace(started.settings, **change), resume=True))
    started.output.with_suffix(".checkpoint").write_bytes(b"nothing")
    with pytest.raises(TinyguardError, match="no checkpoint that can be read"):
        run(replace(started, resume=True))


def test_resuming_what_never_ran_starts_it(tmp_path: Path) -> None:
    assert run(replace(job(tmp_path), resume=True))["best_epoch"] > 0


def scores(monkeypatch: pytest.MonkeyPatch, robust: list[float]) -> None:
    """Let validation find these robust accuracies, one per epoch."""
    left = list(robust)
    monkeypatch.setattr(loop, "validate", lambda *arguments: Score(0.9, left.pop(0)))


def test_a_collapse_of_fast_training_goes_back_to_the_best_epoch_and_on_to_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores(monkeypatch, [0.5, 0.6, 0.1, 0.4, 0.55])
    found = run(job(tmp_path, warm_up=6))
    assert [(e["phase"], e["collapsed"]) for e in found["epochs"]] == [
        ("fast", False), ("fast", False), ("fast", True), ("pgd-at", False), ("pgd-at", False),
    ]  # fmt: skip
    assert [e["epoch"] for e in found["epochs"]] == [1, 2, 3, 7, 8]
    assert found["best_epoch"] == 8
    assert found["robust_accuracy"] == 0.55


def test_a_low_robust_accuracy_that_falls_is_no_collapse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores(monkeypatch, [0.05, 0.01, 0.2, 0.2])
    assert not any(e["collapsed"] for e in run(job(tmp_path))["epochs"])


def test_it_stops_when_no_epoch_improves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores(monkeypatch, [0.3, 0.5, *[0.4] * 20])
    found = run(job(tmp_path, warm_up=0, epochs=20, patience=3))
    assert [e["epoch"] for e in found["epochs"]] == [1, 2, 3, 4, 5]
    assert found["best_epoch"] == 2


def test_what_is_written_is_the_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores(monkeypatch, [0.3, 0.5, 0.4, 0.4])
    run(job(tmp_path, name="four", warm_up=0, epochs=4))
    scores(monkeypatch, [0.3, 0.5, 0.4, 0.4])
    with pytest.raises(StoppedError):
        run(job(tmp_path, name="part", warm_up=0, epochs=4), interrupted_after(2))
    checked = torch.load(tmp_path / "part.checkpoint", weights_only=True)
    with np.load(tmp_path / "four.npz") as arrays:
        for name in arrays.files:
            np.testing.assert_array_equal(arrays[name], checked["average"][name].numpy())


def test_a_loss_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TinyguardError, match=r"the loss is nan in epoch .*lower --rate"):
        run(job(tmp_path, warm_up=0, rate=1e20, epochs=5))


def test_the_recipes_own_epochs_alone_compete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores(monkeypatch, [0.7, 0.8, 0.3, 0.2])
    found = run(job(tmp_path))
    assert (found["best_epoch"], found["robust_accuracy"]) == (3, 0.3)
