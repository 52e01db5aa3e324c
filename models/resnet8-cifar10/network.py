# SPDX-License-Identifier: Apache-2.0
"""ResNet-8 of MLPerf Tiny in PyTorch, and the file its weights live in.

Source: Banbury et al., "MLPerf Tiny Benchmark" (arXiv 2106.07597), image classification.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

WEIGHTS = Path(__file__).with_name("weights.npz")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut: 1x1 projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet8(nn.Module):
    """Images float32 (N, 3, 32, 32) in [0, 1] to logits (N, 10); 77,946 parameters, 12.5 million MACs.

    The first batch norm follows the first convolution, so plain pixels / 255 need no other normalisation:
    the network's int8 input has scale 1/255 and zero point -128, and a pixel's code is pixel - 128.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.stack1 = Block(16, 16, 1)
        self.stack2 = Block(16, 32, 2)
        self.stack3 = Block(32, 64, 2)
        self.dense = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm(self.stem(x)))
        y = self.stack3(self.stack2(self.stack1(y)))
        return self.dense(F.adaptive_avg_pool2d(y, 1).flatten(1))


def save_weights(network: nn.Module, path: Path = WEIGHTS) -> None:
    """Write the state as plain arrays, so that loading it runs no pickled code."""
    np.savez_compressed(path, **{name: value.numpy() for name, value in network.state_dict().items()})


def load_weights(network: nn.Module, path: Path = WEIGHTS) -> None:
    """Fill `network` from a file of `save_weights`."""
    with np.load(path, allow_pickle=False) as arrays:
        network.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})


def logits() -> nn.Module:
    """The trained network, ending in logits."""
    network = ResNet8().eval()
    load_weights(network)
    return network


def trained() -> nn.Module:
    """The trained network ending in softmax, as MLPerf's does: `tinyguard quantize network:trained`."""
    return nn.Sequential(logits(), nn.Softmax(dim=1)).eval()
