# SPDX-License-Identifier: Apache-2.0
"""ResNet-8 with an exit after each stack, in PyTorch, for CIFAR-10. The exits are ours.

The trunk is MLPerf Tiny's (Banbury et al., arXiv 2106.07597), as ../resnet8-cifar10/network.py has it, whose
weights `released` starts from. An exit is the mean over the image and one dense layer, as the network's own;
those before the last of `released` have a separable convolution first, which costs 1.3 % of the network each.
"""

import runpy
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 10
SEED = 1
RELEASED = Path(__file__).parents[1] / "resnet8-cifar10"
Block = runpy.run_path(str(RELEASED / "network.py"))["Block"]


class Exit(nn.Module):
    """Features (N, channels, height, width) to probabilities (N, 10)."""

    def __init__(self, channels: int, separable: bool = False) -> None:
        super().__init__()
        self.features = nn.Identity()
        if separable:
            self.features = nn.Sequential(
                nn.Conv2d(channels, channels, 3, 2, padding=1, groups=channels, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
                nn.Conv2d(channels, 2 * channels, 1, bias=False),
                nn.BatchNorm2d(2 * channels),
                nn.ReLU(),
            )
        self.dense = nn.Linear(2 * channels if separable else channels, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1)).softmax(1)


class ResNet8Exits(nn.Module):
    """Images float32 (N, 3, 32, 32) in [0, 1] to three exits of probabilities (N, 10), shallowest first."""

    def __init__(self, width: float, separable: bool = False) -> None:
        super().__init__()
        first, second, third = (int(width * channels) for channels in (16, 32, 64))
        self.stem = nn.Conv2d(3, first, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(first)
        self.stack1, self.exit1 = Block(first, first, 1), Exit(first, separable)
        self.stack2, self.exit2 = Block(first, second, 2), Exit(second, separable)
        self.stack3, self.exit3 = Block(second, third, 2), Exit(third)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        one = self.stack1(F.relu(self.norm(self.stem(x))))
        two = self.stack2(one)
        return self.exit1(one), self.exit2(two), self.exit3(self.stack3(two))


def _network(width: float, separable: bool = False) -> ResNet8Exits:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return ResNet8Exits(width, separable).eval()


def released() -> nn.Module:
    """Full width, from the weights of ../resnet8-cifar10; exits 1 and 2 untrained."""
    network = _network(1, separable=True)
    with np.load(RELEASED / "weights.npz", allow_pickle=False) as arrays:
        state = {name.replace("dense.", "exit3.dense."): torch.from_numpy(arrays[name]) for name in arrays}
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith(("exit1", "exit2")) for name in missing)
    return network


def half() -> nn.Module:
    """Half the channels, untrained."""
    return _network(0.5)
