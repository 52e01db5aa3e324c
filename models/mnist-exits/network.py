# SPDX-License-Identifier: Apache-2.0
"""SmallCNN of the multi-exit literature for MNIST in PyTorch, at three widths, trained or folded.

Source: the network that Triple Wins (Hu et al. 2020, arXiv 2002.10025) released and NEO-KD (Ham et al. 2023,
arXiv 2311.00428) took over; the widths are ours. The heads of exits 1 and 2 have no ReLU inside, so that
their three layers are one matrix: `folded_half` is `half` with these multiplied out, and `python network.py
IN.npz OUT.npz` does so with the weights.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 10
SEED = 1
_FULL = {"conv": (32, 32, 64, 64), "head": 16, "dense": 200}


class Head(nn.Sequential):
    """Features (N, inputs) to probabilities (N, 10) by three layers."""

    def __init__(self, inputs: int, width: int, relu: bool) -> None:
        between: list[nn.Module] = [nn.ReLU()] if relu else []
        super().__init__(
            nn.Linear(inputs, width),
            *between,
            nn.Dropout(0.5),
            nn.Linear(width, width),
            *between,
            nn.Linear(width, CLASSES),
            nn.Softmax(1),
        )


class FoldedHead(nn.Sequential):
    """A head without ReLU as one matrix."""

    def __init__(self, inputs: int) -> None:
        super().__init__(nn.Linear(inputs, CLASSES), nn.Softmax(1))


def folded(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state of a folded network from that of a trained one: of exits 1 and 2 the layers `0`, `2` and `3`,
    with dropout as `1`, multiplied out in float64."""
    result = {name: value for name, value in state.items() if not name.startswith(("exit1.", "exit2."))}
    for head in ("exit1", "exit2"):
        weight, bias = (state[f"{head}.0.{part}"].double() for part in ("weight", "bias"))
        for place in (2, 3):
            matrix = state[f"{head}.{place}.weight"].double()
            weight, bias = matrix @ weight, matrix @ bias + state[f"{head}.{place}.bias"].double()
        result[f"{head}.0.weight"], result[f"{head}.0.bias"] = weight.float(), bias.float()
    return result


class SmallCNN(nn.Module):
    """Digits float32 (N, 1, 28, 28) in [0, 1] to three exits of probabilities (N, 10), shallowest first."""

    def __init__(self, width: float, folded: bool) -> None:
        super().__init__()
        first, second, third, fourth = (int(width * channels) for channels in _FULL["conv"])
        small, dense = int(width * _FULL["head"]), int(width * _FULL["dense"])
        self.conv1 = nn.Conv2d(1, first, 3)
        self.reduce = nn.Conv2d(first, small, 3, 2)
        self.exit1 = FoldedHead(36 * small) if folded else Head(36 * small, dense, relu=False)
        self.conv2 = nn.Conv2d(first, second, 3)
        self.conv3 = nn.Conv2d(second, third, 3)
        self.exit2 = FoldedHead(25 * third) if folded else Head(25 * third, dense, relu=False)
        self.conv4 = nn.Conv2d(third, fourth, 3)
        self.exit3 = Head(16 * fourth, dense, relu=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = F.relu(self.conv1(x))
        first = self.exit1(F.max_pool2d(self.reduce(x), 2).flatten(1))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        second = self.exit2(F.max_pool2d(x, 2).flatten(1))
        x = F.max_pool2d(F.relu(self.conv4(x)), 2)
        return first, second, self.exit3(x.flatten(1))


def _network(width: float, folded: bool) -> SmallCNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return SmallCNN(width, folded).eval()


def full() -> nn.Module:
    """As released, untrained: 32 to 64 channels."""
    return _network(1, folded=False)


def half() -> nn.Module:
    """Half the channels and half the dense width."""
    return _network(0.5, folded=False)


def quarter() -> nn.Module:
    """A quarter of both."""
    return _network(0.25, folded=False)


def folded_full() -> nn.Module:
    """`full` with exits 1 and 2 as one matrix each."""
    return _network(1, folded=True)


def folded_half() -> nn.Module:
    """The same of `half`."""
    return _network(0.5, folded=True)


def folded_quarter() -> nn.Module:
    """The same of `quarter`."""
    return _network(0.25, folded=True)


def fold_file(source: Path, target: Path) -> None:
    """Write the weights of `source`, a trained network, as those of the folded one."""
    with np.load(source, allow_pickle=False) as arrays:
        state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    np.savez_compressed(target, **{name: value.numpy() for name, value in folded(state).items()})


if __name__ == "__main__":
    fold_file(Path(sys.argv[1]), Path(sys.argv[2]))
