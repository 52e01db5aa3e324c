# SPDX-License-Identifier: Apache-2.0
"""Train the PixelCNN of Pixel Defend on CIFAR-10's training images: `python pixel_cnn.py`.

It goes on where it was stopped when run again. The test images choose nothing; their bits per dimension are
printed at the end.
"""

import argparse
from pathlib import Path

import torch

from tinyguard.data import load_named
from tinyguard.defenses.pixel_cnn import save_pixel_cnn
from tinyguard.defenses.pixel_likelihood import bits_per_dimension
from tinyguard.training.train_pixel_cnn import Schedule, TrainablePixelCNN, train

SEED = 7
WIDTH, BLOCKS, MIXTURES = 48, 3, 5
SHOWN = 500


def mirrored(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A batch (N, height, width, channels), half of it mirrored."""
    flipped = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(flipped, images.flip(2), images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60, help="Tenths of the training set.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=Path(".tinyguard/pixel-cnn-cifar10.pt"))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("pixel-cnn.npz"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    images, test = load_named("cifar10", "train").x, load_named("cifar10", "test").x
    schedule = Schedule(
        SEED, options.epochs, batch=32, peak_rate=3e-3, images=len(images) // 10, augment=mirrored
    )
    network = TrainablePixelCNN((32, 32, 3), WIDTH, BLOCKS, MIXTURES)
    print(f"{sum(value.numel() for value in network.parameters()):,} parameters", flush=True)
    average = train(network, torch.from_numpy(images), schedule, options.checkpoint)
    pixel_cnn = average.exported()
    save_pixel_cnn(options.output, pixel_cnn)
    bits = bits_per_dimension(pixel_cnn, (test[:SHOWN] ^ 128).view("int8")).mean()
    print(f"{bits:.3f} bits per dimension on {SHOWN} test images")


if __name__ == "__main__":
    main()
