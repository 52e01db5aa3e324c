# SPDX-License-Identifier: Apache-2.0
"""`tinyguard harden train` without its command line: data and a source to a trained network and a record."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinyguard.data import Samples
from tinyguard.errors import TinyguardError
from tinyguard.files import write_atomically
from tinyguard.tflite.metadata import Normalization
from tinyguard.training.augmentation import Images
from tinyguard.training.auxiliary import auxiliary_networks
from tinyguard.training.exit_objective import TERMS, MultiExit
from tinyguard.training.loop import train
from tinyguard.training.objectives import Adversarial, Distillation, Ensemble, Objective, Sinkhorn, Trades
from tinyguard.training.opened import Source, open_source
from tinyguard.training.phases import ascent_of, fast_objective, phases_of
from tinyguard.training.recipes import RECIPES, Settings
from tinyguard.training.trainable_network import TrainableNetwork

_HELD_OUT = 1000
_SHARE_HELD_OUT = 10  # of the data at most one in so many


@dataclass(frozen=True)
class Job:
    """One training run. `validation` are samples that are not trained on, or how many of `training` are held
    out; None holds out up to 1,000, a tenth at most. `auxiliary` names the static networks of ensemble-at.
    `output_wanted`: the name or number of the output that is trained, and that the file then has alone."""

    source: str
    settings: Settings
    training: Samples
    output: Path
    validation: Samples | int | None = None
    normalization: Normalization | None = None
    auxiliary: tuple[str, ...] = ()
    resume: bool = False
    output_wanted: str | None = None


@dataclass(frozen=True)
class Watcher:
    """Who hears of a run: each epoch's figures; the samples done of an epoch's, with what is being done."""

    on_epoch: Callable[[dict[str, Any]], None] = field(default=lambda figures: None)
    on_samples: Callable[[str, int, int], None] = field(default=lambda what, done, total: None)


def run(job: Job, watcher: Watcher | None = None) -> dict[str, Any]:
    """Train, write the network to `job.output` and the record, which is returned, beside it.

    The record is NAME.training.json: settings, data, threads, an entry per epoch, seconds. While it runs,
    NAME.checkpoint holds what was reached. Raises TinyguardError for a source, data or settings that do not
    fit.
    """
    watcher = watcher or Watcher()
    began = time.perf_counter()
    shape = tuple(job.training.x.shape[1:])
    source = open_source(job.source, shape, job.normalization, job.settings, job.output_wanted)
    if job.output.suffix != source.ending:
        raise TinyguardError(
            f"{job.output}: what {job.source} becomes is written as {source.ending}: name it so"
        )
    data, held_out = _images(job, source)
    key = _key(job, source, data, held_out)
    network, objective = _prepare(job, source, data, watcher)
    progress = train(
        network,
        phases_of(job.settings, objective, len(data)),
        data,
        held_out,
        job.settings,
        checkpoint=job.output.with_suffix(".checkpoint"),
        key=key,
        resume=job.resume,
        on_epoch=watcher.on_epoch,
        on_samples=lambda done, total: watcher.on_samples("training", done, total),
    )
    content = source.content(network)
    record = {
        "model": str(job.output),
        "sha256": hashlib.sha256(content).hexdigest(),
        "source": job.source,
        "source_sha256": source.key,
        **({} if job.output_wanted is None else {"output": job.output_wanted}),
        "settings": asdict(job.settings),
        "step_size": job.settings.ascent_step,
        "auxiliary": list(job.auxiliary),
        "data": job.training.name,
        "training_samples": len(data),
        "validation_samples": len(held_out),
        "threads": torch.get_num_threads(),
        "best_epoch": progress.best_epoch,
        "clean_accuracy": progress.best_clean,
        "robust_accuracy": progress.best_robust,
        "epochs": progress.history,
        "seconds": sum(e["training_seconds"] + e["validation_seconds"] for e in progress.history),
        "seconds_of_this_process": time.perf_counter() - began,
    }
    write_atomically(job.output, content)
    write_atomically(job.output.with_suffix(".training.json"), json.dumps(record, indent=2) + "\n")
    job.output.with_suffix(".checkpoint").unlink(missing_ok=True)
    return record


def _prepare(job: Job, source: Source, data: Images, watcher: Watcher) -> tuple[TrainableNetwork, Objective]:
    """The network to train and the recipe's objective."""
    settings, network = job.settings, source.network
    ascent = ascent_of(settings)
    if RECIPES[settings.recipe].exits:
        term = TERMS.get(settings.recipe)
        return network, MultiExit(ascent, settings.exit_attack, settings.adversarial_weight, term)
    match settings.recipe:
        case "fast":
            return network, fast_objective(settings)
        case "trades":
            return network, Trades(ascent, settings.beta)
        case "sinkhorn-at":
            return network, Sinkhorn(ascent, settings.entropy, settings.iterations)
        case "distill":
            student = source.fresh(settings.seed)
            return student, Distillation(network.attacked(), settings.temperature, settings.alpha)
        case "ensemble-at":
            others = auxiliary_networks(
                job.auxiliary,
                source,
                data,
                settings,
                shape=tuple(job.training.x.shape[1:]),
                normalization=job.normalization,
                folder=job.output.parent,
                stem=job.output.stem,
                on_samples=watcher.on_samples,
            )
            return network, Ensemble(ascent, tuple(other.attacked() for other in others))
        case _:
            return network, Adversarial(ascent, settings.clean)


def _images(job: Job, source: Source) -> tuple[Images, Images]:
    """What is trained on, and what is held out."""
    training, validation = job.training, job.validation
    _check(training, source.network.classes)
    if isinstance(validation, Samples):
        _check(validation, source.network.classes)
    else:
        count = min(_HELD_OUT, len(training) // _SHARE_HELD_OUT) if validation is None else validation
        if not 0 < count < len(training):
            raise TinyguardError(
                f"{training.name} has {len(training)} samples, and {count} cannot be held out: give "
                "--validation DATA"
            )
        order = np.random.default_rng(job.settings.seed).permutation(len(training))
        training, validation = _rows(training, order[count:]), _rows(training, order[:count])
    parts = [(source.arrays(samples), samples.y) for samples in (training, validation)]
    if len(training) < job.settings.batch:
        raise TinyguardError(
            f"{len(training)} samples are fewer than a batch of {job.settings.batch}: lower --batch"
        )
    (x, y), (held_x, held_y) = parts
    assert y is not None
    assert held_y is not None
    return Images(x, y, job.settings.augment), Images(held_x, held_y, augment=False)


def _check(samples: Samples, classes: int) -> None:
    if samples.y is None:
        raise TinyguardError(f"{samples.name} has no labels: save y beside x")
    if samples.y.max() >= classes:
        bad = int(np.argmax(samples.y >= classes))
        raise TinyguardError(
            f"{samples.name}: label {samples.y[bad]} of sample {bad} is not one of the network's classes 0 "
            f"to {classes - 1}"
        )


def _rows(samples: Samples, rows: np.ndarray) -> Samples:
    labels = None if samples.y is None else samples.y[rows]
    return Samples(samples.x[rows], labels, samples.class_names, samples.name)


def _key(job: Job, source: Source, data: Images, held_out: Images) -> str:
    """Names the run: what decides its result, threads apart."""
    digest = hashlib.sha256()
    parts = [json.dumps(asdict(job.settings)), source.key, str(job.normalization), *job.auxiliary]
    parts += [] if job.output_wanted is None else [f"output {job.output_wanted}"]
    digest.update("\n".join(parts).encode())
    for images in (data, held_out):
        for array in (images.x, images.y):
            digest.update(array.numpy().tobytes())
    return digest.hexdigest()
