# SPDX-License-Identifier: Apache-2.0
"""What the training tests train: the model card's digits network, a PyTorch one written here, and its
data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyguard.data import Samples, load_named

MODELS = Path(__file__).parents[2] / "models"
DIGITS = MODELS / "digits" / "model.tflite"
DIGITS_KERAS = MODELS / "digits" / "model.keras"
EPS = 0.15  # of the pixel range: PGD then leaves the undefended networks nothing

SMALL = """
import torch
from torch import nn


def network():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(96, 10), nn.Softmax(dim=1),
    )
"""


def digits(split: str = "train", count: int | None = None) -> Samples:
    """The digits, or the first `count` of them."""
    return load_named("digits", split).first(count)


def small_network(folder: Path) -> str:
    """SOURCE of a PyTorch network for digits, untrained, ending in softmax."""
    (folder / "small.py").write_text(SMALL)
    return f"{folder / 'small.py'}:network"


def random_pixels(count: int, seed: int = 0) -> np.ndarray:
    """uint8 (count, 8, 8, 1)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 1), np.uint8)
