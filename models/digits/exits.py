# SPDX-License-Identifier: Apache-2.0
"""A network with three exits for scikit-learn's 8x8 digits, in PyTorch: `exits.tflite` is made of it.

tinyguard harden train exits.py:network --recipe exits-at --adversarial-weight 0 --data digits --epochs 60 \
    --images 1280 --batch 32 --validation 137 -o exits.npz
tinyguard quantize exits.py:network:exits.npz -o exits.tflite --exits auto --calibration digits
tinyguard exits exits.tflite --policy margin --data digits:train --within 0.5 -o exits.tflite
"""

import torch
from torch import nn

SEED = 3


class Exits(nn.Module):
    """Digits float32 (N, 1, 8, 8) in [0, 1] to three exits of probabilities (N, 10), shallowest first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 32, 3, padding=1), nn.ReLU())
        self.third = nn.Sequential(nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.exits = nn.ModuleList(nn.Linear(features, 10) for features in (128, 128, 192))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first = self.first(x)
        second = self.second(first)
        features = (first, self.pool(second), self.third(second))
        return tuple(dense(x.flatten(1)).softmax(1) for dense, x in zip(self.exits, features, strict=True))


def network() -> nn.Module:
    """Untrained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Exits().eval()
