# SPDX-License-Identifier: Apache-2.0
"""The training loop: epochs of steps, a moving average, validation, the best epoch, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tinyguard.errors import TinyguardError
from tinyguard.training.augmentation import Images
from tinyguard.training.checkpoint import Progress, load_progress, save_progress
from tinyguard.training.phases import Phase
from tinyguard.training.randomness import LAYERS, ORDER, StepDraws
from tinyguard.training.recipes import Settings
from tinyguard.training.trainable_network import TrainableNetwork, copied, holding, update_average
from tinyguard.training.validation import Score, validate

_MOMENTUM = 0.9
_COLLAPSE = 0.5  # of a phase's best robust accuracy: below it fast training has learnt to hide its gradients
_SEEN = 0.1  # robust accuracy from which on there is something to collapse


def train(
    network: TrainableNetwork,
    phases: tuple[Phase, ...],
    data: Images,
    held_out: Images,
    settings: Settings,
    *,
    checkpoint: Path,
    key: str,
    resume: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] = lambda figures: None,
    on_samples: Callable[[int, int], None] = lambda done, total: None,
) -> Progress:
    """Train by the phases and leave the network in the state of the last phase's epoch that was best on
    `held_out`.

    `on_epoch` gets each epoch's figures, `on_samples` the samples done of an epoch's. After every epoch the
    run is saved in `checkpoint`, under its `key`; with `resume` it goes on from there, drawing what it would
    have drawn. Raises TinyguardError where the loss is no number, and for a checkpoint of another run.
    """
    optimizer = _optimizer(network, settings)
    progress = load_progress(checkpoint, key) if resume else None
    if progress is None:
        average = copied(network.state())
        progress = Progress(0, network.state(), average, optimizer.state_dict(), copied(average))
    else:
        network.load(progress.network)
        optimizer.load_state_dict(progress.optimizer)
    run = _Run(network, optimizer, data, held_out, settings, progress, on_samples)
    for phase in phases:
        while phase.first <= progress.epoch < phase.end and not run.is_out_of_patience(phase):
            figures = run.epoch(phase)
            progress.network, progress.optimizer = network.state(), optimizer.state_dict()
            save_progress(checkpoint, key, progress)
            on_epoch(figures)
        progress.epoch = max(progress.epoch, phase.end)
    network.load(progress.best)
    return progress


class _Run:
    """One run's moving parts, with the steps that an epoch takes."""

    def __init__(
        self,
        network: TrainableNetwork,
        optimizer: torch.optim.Optimizer,
        data: Images,
        held_out: Images,
        settings: Settings,
        progress: Progress,
        on_samples: Callable[[int, int], None],
    ) -> None:
        self.network, self.optimizer, self.settings = network, optimizer, settings
        self.data, self.held_out, self.progress, self.on_samples = data, held_out, progress, on_samples

    def epoch(self, phase: Phase) -> dict[str, Any]:
        """Train one epoch, judge the average, keep the best, go back where robustness collapsed."""
        progress, began = self.progress, time.perf_counter()
        if progress.epoch == phase.first:
            progress.best_epoch, progress.best_robust, progress.best_clean = -1, -1.0, -1.0
        loss, samples = self._train(phase)
        trained = time.perf_counter()
        with holding(self.network, progress.average):
            score = validate(self.network, self.held_out, self.settings.eps, self.settings.seed)
        known = phase.watched and progress.best_robust >= _SEEN
        collapsed = known and score.robust < _COLLAPSE * progress.best_robust
        progress.epoch += 1
        self._keep(score)
        figures = {
            "epoch": progress.epoch,
            "phase": phase.name,
            "loss": loss,
            "clean_accuracy": score.clean,
            "robust_accuracy": score.robust,
            "samples": samples,
            "training_seconds": trained - began,
            "validation_seconds": time.perf_counter() - trained,
            "collapsed": collapsed,
        }
        progress.history.append(figures)
        if collapsed:
            self._go_back()
            progress.epoch = phase.end
        return figures

    def _train(self, phase: Phase) -> tuple[float, int]:
        """One pass; the mean loss and the number of samples."""
        network, epoch, batch = self.network, self.progress.epoch, self.settings.batch
        order = torch.randperm(
            len(self.data), generator=StepDraws(self.settings.seed, epoch).generator(ORDER)
        )[: phase.images]
        steps, total = max(1, len(order) // batch), 0.0
        for step in range(steps):
            draws = StepDraws(self.settings.seed, epoch, step)
            point = epoch + (step + 1) / (steps + 1)
            for group in self.optimizer.param_groups:
                group["lr"] = phase.rate_at(point)
            arrays, y = self.data.batch(order[step * batch : (step + 1) * batch], draws)
            x = network.laid_out(arrays)
            torch.manual_seed(draws.number(LAYERS))  # dropout draws from torch's own generator
            loss = phase.objective_at(point).loss(network, x, y, draws)
            value = float(loss.detach())
            if not abs(value) < float("inf"):
                raise TinyguardError(
                    f"the loss is {value} in epoch {epoch + 1}, step {step + 1}: lower --rate"
                )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            network.rebuild()
            update_average(self.progress.average, network, self._kept(phase, epoch * steps + step))
            total += value
            self.on_samples((step + 1) * batch, steps * batch)
        return total / steps, steps * batch

    def _kept(self, phase: Phase, step: int) -> float:
        """The fraction of the average that stays: little in the first steps, which would weigh too much."""
        del phase
        return min(self.settings.average, (1 + step) / (10 + step))

    def _keep(self, score: Score) -> None:
        progress = self.progress
        if self._rank(score) > self._rank(Score(progress.best_clean, progress.best_robust)):
            progress.best, progress.best_epoch = copied(progress.average), progress.epoch
            progress.best_robust, progress.best_clean = score.robust, score.clean

    def _rank(self, score: Score) -> tuple[float, float]:
        """Robust accuracy first; clean accuracy where the recipe shows the network no attack."""
        pair = score.robust, score.clean
        return pair if self.settings.attacks else (pair[1], pair[0])

    def _go_back(self) -> None:
        """Take up the best epoch again, with an optimizer that has forgotten the way from there."""
        self.network.load(self.progress.best)
        self.progress.average = copied(self.progress.best)
        self.optimizer.state.clear()

    def is_out_of_patience(self, phase: Phase) -> bool:
        """Whether the best epoch has stayed the best for `patience` epochs of this phase."""
        since = self.progress.epoch - max(self.progress.best_epoch, phase.first)
        return since >= self.settings.patience


def _optimizer(network: TrainableNetwork, settings: Settings) -> torch.optim.Optimizer:
    decayed, rest = network.weights()
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "adam":
        return torch.optim.AdamW(groups, lr=settings.rate)
    return torch.optim.SGD(groups, lr=settings.rate, momentum=_MOMENTUM, nesterov=True)
