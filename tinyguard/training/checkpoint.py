# SPDX-License-Identifier: Apache-2.0
"""What a run has reached after an epoch, in one file, so that an interrupted run ends as an uninterrupted
one."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tinyguard.errors import TinyguardError
from tinyguard.files import write_atomically
from tinyguard.training.trainable_network import State

_UNREADABLE = (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError, ValueError)


@dataclass
class Progress:
    """`epoch` is the next one, counted over the whole run. `best` is the averaged network of epoch
    `best_epoch`, the best of the phase, with its `best_robust` and `best_clean` accuracy on the samples held
    out; `history` has an entry per epoch."""

    epoch: int
    network: State
    average: State
    optimizer: dict[str, Any]
    best: State
    best_epoch: int = -1
    best_robust: float = -1.0
    best_clean: float = -1.0
    history: list[dict[str, Any]] = field(default_factory=list)


def save_progress(path: Path, key: str, progress: Progress) -> None:
    """Write it whole or not at all, under the `key` of the run."""
    content = io.BytesIO()
    torch.save({"key": key, **vars(progress)}, content)
    write_atomically(path, content.getvalue())


def load_progress(path: Path, key: str) -> Progress | None:
    """What an earlier run of the same key has reached, None where there is no file.

    Raises TinyguardError for a damaged file and for one of another run.
    """
    if not path.exists():
        return None
    try:
        stored = torch.load(path, weights_only=True)
        stored_key = stored.pop("key")
        progress = Progress(**stored)
    except (*_UNREADABLE, TypeError):
        raise TinyguardError(
            f"{path} is no checkpoint that can be read: remove it, or leave out --resume"
        ) from None
    if stored_key != key:
        raise TinyguardError(
            f"{path} is the checkpoint of a run with other settings, data or source: type them as they were, "
            "or leave out --resume"
        )
    return progress
