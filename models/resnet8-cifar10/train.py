# SPDX-License-Identifier: Apache-2.0
"""Train ResNet-8 on CIFAR-10's 50,000 training images: `python train.py`, resumed when run again.

SGD with Nesterov momentum, one warm-up and a cosine to zero, random crops and flips, bfloat16
convolutions, and an exponential moving average of the weights, which is what is saved. The test
images choose nothing: the accuracy printed on the way is only to look at. An epoch takes 18 seconds
on two idle cores with AMX.
"""

import argparse
import copy
import io
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from network import WEIGHTS, ResNet8, save_weights
from torch import nn
from torch.nn import functional as F

from tinyguard.data import load_named
from tinyguard.files import write_atomically

SEED = 7
BATCH = 128
PEAK_RATE = 0.25
WARM_UP = 0.15
WEIGHT_DECAY = 3e-4
LABEL_SMOOTHING = 0.05
AVERAGE = 0.998
PAD = 4


def padded_images(pixels: np.ndarray) -> torch.Tensor:
    """uint8 (N, 40, 40, 3) with reflected borders, from which crops are taken."""
    return torch.from_numpy(np.pad(pixels, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)), mode="reflect"))


def augmented(images: torch.Tensor, chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A batch of random 32x32 crops, half of them mirrored: float32 (B, 3, 32, 32) in [0, 1]."""
    count, side = len(chosen), torch.arange(32)
    top, left = torch.randint(0, 2 * PAD + 1, (2, count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    columns = left + torch.where(mirrored, 31 - side, side)
    crops = images[chosen[:, None, None], (top + side)[:, :, None], columns[:, None, :]]
    return (crops.float() / 255).permute(0, 3, 1, 2)


def learning_rate(progress: float) -> float:
    """Linear to PEAK_RATE over the warm-up, then a cosine to zero; `progress` runs from 0 to 1."""
    if progress < WARM_UP:
        return PEAK_RATE * progress / WARM_UP
    return PEAK_RATE * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def accuracy(network: nn.Module, pixels: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of images (N, 32, 32, 3) uint8 that a float32 forward pass classifies right."""
    network.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(pixels), 500):
            batch = torch.from_numpy(pixels[start : start + 500]).float().permute(0, 3, 1, 2) / 255
            right += int((network(batch).argmax(1).numpy() == labels[start : start + 500]).sum())
    return right / len(pixels)


def train_epoch(
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: tuple[torch.Tensor, torch.Tensor],
    epoch: int,
    epochs: int,
) -> float:
    """One pass in an order drawn from SEED and the epoch; returns the mean loss."""
    images, labels = data
    generator = torch.Generator().manual_seed(SEED * 1000 + epoch)
    order = torch.randperm(len(images), generator=generator)
    steps, total = len(images) // BATCH, 0.0
    network.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate((epoch + step / steps) / epochs)
        chosen = order[step * BATCH : (step + 1) * BATCH]
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(augmented(images, chosen, generator))
        loss = F.cross_entropy(logits.float(), labels[chosen], label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += float(loss.detach())
        update_average(average, network)
    return total / steps


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module) -> None:
    """Move the average's weights and batch statistics a little towards the network's."""
    for slow, fast in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if slow.is_floating_point():
            slow.lerp_(fast, 1 - AVERAGE)
        else:
            slow.copy_(fast)


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write the state whole or not at all."""
    content = io.BytesIO()
    torch.save(state, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoint", type=Path, default=Path(".tinyguard/resnet8.pt"))
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)

    train, test = load_named("cifar10", "train"), load_named("cifar10", "test")
    assert train.y is not None
    assert test.y is not None
    data = padded_images(train.x), torch.from_numpy(train.y)
    network = ResNet8().to(memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.0, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    first = 0
    if options.checkpoint.exists():
        state = torch.load(options.checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    for epoch in range(first, options.epochs):
        began = time.time()
        loss = train_epoch(network, average, optimizer, data, epoch, options.epochs)
        seconds = time.time() - began
        state = {"network": network.state_dict(), "average": average.state_dict()}
        state |= {"optimizer": optimizer.state_dict(), "epoch": epoch}
        save_checkpoint(state, options.checkpoint)
        line = f"epoch {epoch + 1}/{options.epochs} loss {loss:.4f} {seconds:.0f} s"
        if epoch % 5 == 4 or epoch + 1 == options.epochs:
            line += f" test accuracy {100 * accuracy(average, test.x, test.y):.2f} %"
        print(line, flush=True)
    save_weights(average, options.output)
    print(f"float accuracy on {len(test)} test images: {100 * accuracy(average, test.x, test.y):.2f} %")


if __name__ == "__main__":
    main()
