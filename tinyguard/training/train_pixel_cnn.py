# SPDX-License-Identifier: Apache-2.0
"""Train a small PixelCNN: the layers of `tinyguard/defenses/pixel_cnn.py` as a torch module, and the loop."""

from __future__ import annotations

import copy
import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tinyguard.defenses.pixel_cnn import (
    LEAST_LOG_SCALE,
    MaskedConvolution,
    PixelCNN,
    masked_taps,
    parameter_counts,
)
from tinyguard.files import write_atomically

AVERAGE = 0.998
WARM_UP = 0.05


class CausalConvolution(nn.Module):
    """A convolution that sees the rows above and what is left of a pixel, and the pixel itself in type B.

    (N, inputs, height, width) float32 to (N, outputs, height, width). The rows below are not multiplied.
    """

    mask: torch.Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, type_b: bool) -> None:
        super().__init__()
        self.reach, self.taps = kernel // 2, masked_taps(kernel, type_b)
        self.convolution = nn.Conv2d(inputs, outputs, (self.reach + 1, kernel))
        mask = torch.zeros(self.reach + 1, kernel)
        for down, across in self.taps:
            mask[self.reach + down, self.reach + across] = 1
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reach, layer = self.reach, self.convolution
        padded = F.pad(x, (reach, reach, reach, 0)) if reach else x
        return F.conv2d(padded, layer.weight * self.mask, layer.bias)

    def exported(self) -> MaskedConvolution:
        """The same layer on the grid of the integer-stored weights."""
        weight = self.convolution.weight.detach().double().numpy()
        assert self.convolution.bias is not None
        rows = [weight[:, :, self.reach + down, self.reach + across].T for down, across in self.taps]
        return MaskedConvolution.rounded(
            self.taps, np.concatenate(rows), self.convolution.bias.detach().double().numpy()
        )


class ResidualBlock(nn.Sequential):
    """A 3x3 and a 1x1 convolution of type B, each after a ReLU, added to what comes in."""

    def __init__(self, width: int) -> None:
        super().__init__(*(CausalConvolution(width, width, kernel, type_b=True) for kernel in (3, 1)))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        wide, narrow = self.children()
        return h + narrow(F.relu(wide(F.relu(h))))

    def exported(self) -> tuple[MaskedConvolution, MaskedConvolution]:
        """Both layers as plain arrays."""
        wide, narrow = (layer.exported() for layer in self.children() if isinstance(layer, CausalConvolution))
        return wide, narrow


class TrainablePixelCNN(nn.Module):
    """uint8 levels (N, height, width, channels) to a mixture's parameters (N, height, width, parameters)."""

    def __init__(self, shape: tuple[int, int, int], width: int, blocks: int, mixtures: int) -> None:
        super().__init__()
        self.shape, self.mixtures = shape, mixtures
        self.first = CausalConvolution(shape[2] + 1, width, 7, type_b=False)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.last = CausalConvolution(width, mixtures * sum(parameter_counts(shape[2])), 1, type_b=True)

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        x = (levels.permute(0, 3, 1, 2).float() - 128) / 128
        h = self.first(torch.cat([x, torch.ones_like(x[:, :1])], 1))  # ones tell the borders from grey
        return self.last(F.relu(self.blocks(h))).permute(0, 2, 3, 1)

    def exported(self) -> PixelCNN:
        """The trained network as plain arrays."""
        blocks = tuple(
            block.exported() for block in self.blocks.children() if isinstance(block, ResidualBlock)
        )
        return PixelCNN(self.shape, self.mixtures, self.first.exported(), blocks, self.last.exported())


def bits_per_dimension(parameters: torch.Tensor, levels: torch.Tensor, mixtures: int) -> torch.Tensor:
    """Negative log2-likelihood of uint8 levels (N, H, W, C) per value, float32 (N,): what training lowers.

    Source: Salimans et al., "PixelCNN++" (arXiv 1701.05517), equations 2 and 3.
    """
    channels = levels.shape[-1]
    sizes = [mixtures * count for count in parameter_counts(channels)]
    weights, means, log_scales, links = parameters.split(sizes, -1)
    codes = levels.long() - 128
    values = codes.float() / 128
    means = means.unflatten(-1, (channels, mixtures))
    log_scales = log_scales.unflatten(-1, (channels, mixtures)).clamp(min=LEAST_LOG_SCALE)
    shifts, link = [torch.zeros_like(means[..., 0, :])], 0
    for channel in range(1, channels):
        shift = torch.zeros_like(shifts[0])
        for earlier in range(channel):
            start = link * mixtures
            shift = shift + links[..., start : start + mixtures] * values[..., earlier, None]
            link += 1
        shifts.append(shift)
    centred = values[..., None] - means - torch.stack(shifts, -2)
    inverse = torch.exp(-log_scales)
    below = -F.softplus(-(centred + 1 / 256) * inverse)
    above = -F.softplus((centred - 1 / 256) * inverse)
    width = torch.log(-torch.expm1(-inverse / 128))
    code = codes[..., None]
    logs = torch.where(code == 127, above, torch.where(code == -128, below, below + above + width))
    total = torch.logsumexp(F.log_softmax(weights, -1) + logs.sum(-2), -1)
    return -total.flatten(1).sum(1) / (math.log(2) * levels[0].numel())


@dataclass(frozen=True)
class Schedule:
    """`images` are drawn from the training set each epoch, all of it when None; `augment` changes a batch."""

    seed: int
    epochs: int
    batch: int
    peak_rate: float
    images: int | None = None
    augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None


def learning_rate(peak: float, progress: float) -> float:
    """Linear to `peak` over the warm-up, then a cosine to zero; `progress` runs from 0 to 1."""
    if progress < WARM_UP:
        return peak * progress / WARM_UP
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def train(
    network: TrainablePixelCNN,
    levels: torch.Tensor,
    schedule: Schedule,
    checkpoint: Path,
    report: Callable[[str], None] = lambda line: print(line, flush=True),
) -> TrainablePixelCNN:
    """Fit `network` to uint8 levels (N, H, W, C) and return the moving average of its weights.

    Adam; each epoch's order is drawn from the seed and the epoch. `checkpoint` is written after every epoch
    and read first, so that a run that was stopped goes on.
    """
    average, first = copy.deepcopy(network), 0
    optimizer = torch.optim.Adam(network.parameters(), lr=0.0, betas=(0.9, 0.99))
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    for epoch in range(first, schedule.epochs):
        began = time.time()
        bits = _train_epoch(network, average, optimizer, levels, schedule, epoch)
        state = {"network": network.state_dict(), "average": average.state_dict()}
        _save({**state, "optimizer": optimizer.state_dict(), "epoch": epoch}, checkpoint)
        seconds = time.time() - began
        report(f"epoch {epoch + 1}/{schedule.epochs} {bits:.3f} bits per dimension {seconds:.0f} s")
    return average


def _train_epoch(
    network: TrainablePixelCNN,
    average: TrainablePixelCNN,
    optimizer: torch.optim.Optimizer,
    levels: torch.Tensor,
    schedule: Schedule,
    epoch: int,
) -> float:
    """One pass; returns the mean bits per dimension on the way."""
    generator = torch.Generator().manual_seed(schedule.seed * 1000 + epoch)
    order = torch.randperm(len(levels), generator=generator)[: schedule.images]
    steps, total = len(order) // schedule.batch, 0.0
    for step in range(steps):
        rate = learning_rate(schedule.peak_rate, (epoch + (step + 1) / steps) / schedule.epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        images = levels[order[step * schedule.batch : (step + 1) * schedule.batch]]
        if schedule.augment is not None:
            images = schedule.augment(images, generator)
        bits = bits_per_dimension(network(images), images, network.mixtures).mean()
        optimizer.zero_grad()
        bits.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        total += float(bits.detach())
        _update_average(average, network, min(AVERAGE, 1 - 10 / (10 + epoch * steps + step)))
    return total / steps


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, kept: float) -> None:
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - kept)


def _save(state: dict[str, Any], path: Path) -> None:
    content = io.BytesIO()
    torch.save(state, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())
