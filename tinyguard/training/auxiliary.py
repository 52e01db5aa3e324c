# SPDX-License-Identifier: Apache-2.0
"""The static networks of ensemble adversarial training: named ones, or two trained here without attacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from tinyguard.files import write_atomically
from tinyguard.tflite.metadata import Normalization
from tinyguard.training.augmentation import Images
from tinyguard.training.opened import Source, open_source
from tinyguard.training.randomness import ORDER, StepDraws
from tinyguard.training.recipes import Settings
from tinyguard.training.trainable_network import TrainableNetwork

COUNT = 2
_EPOCHS = {"paper": 20, "cpu": 5}
_RATE = 2e-3
_BATCH = 128
_SEEDS = 1 << 20  # apart from those of the run


def auxiliary_networks(
    names: tuple[str, ...],
    source: Source,
    data: Images,
    settings: Settings,
    *,
    shape: tuple[int, ...],
    normalization: Normalization | None,
    folder: Path,
    stem: str,
    on_samples: Callable[[str, int, int], None],
) -> list[TrainableNetwork]:
    """The networks that `names` name; without names COUNT of the source's layers with weights of their own,
    trained on clean `data` by Adam and a cosine (our choice: the paper's two are not known), each kept in
    `folder` as STEM.auxiliary-1 and so on."""
    if names:
        return [open_source(name, shape, normalization, settings).network for name in names]
    networks = []
    for number in range(1, COUNT + 1):
        seed = settings.seed + _SEEDS * number
        network = source.fresh(seed)
        _train_plainly(
            network,
            data,
            _EPOCHS[settings.schedule],
            seed,
            lambda done, total, number=number: on_samples(f"auxiliary network {number}", done, total),  # type: ignore[misc]
        )
        write_atomically(folder / f"{stem}.auxiliary-{number}{source.ending}", source.content(network))
        networks.append(network)
    return networks


def _train_plainly(
    network: TrainableNetwork, data: Images, epochs: int, seed: int, on_samples: Callable[[int, int], None]
) -> None:
    decayed, rest = network.weights()
    optimizer = torch.optim.AdamW([*decayed, *rest], lr=_RATE, weight_decay=0.0)
    steps = max(1, len(data) // _BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    for epoch in range(epochs):
        order = torch.randperm(len(data), generator=StepDraws(seed, epoch).generator(ORDER))
        for step in range(steps):
            draws = StepDraws(seed, epoch, step)
            arrays, y = data.batch(order[step * _BATCH : (step + 1) * _BATCH], draws)
            loss = functional.cross_entropy(network.logits(network.laid_out(arrays)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            network.rebuild()
            schedule.step()
            on_samples((epoch * steps + step + 1) * _BATCH, epochs * steps * _BATCH)
