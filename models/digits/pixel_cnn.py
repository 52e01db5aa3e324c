# SPDX-License-Identifier: Apache-2.0
"""Train the PixelCNN of Pixel Defend on the training digits: `python pixel_cnn.py`, resumed when run again.

The held-out digits choose nothing; their bits per dimension are printed at the end.
"""

import argparse
from pathlib import Path

import torch

from tinyguard.data import load_named
from tinyguard.defenses.pixel_cnn import save_pixel_cnn
from tinyguard.defenses.pixel_likelihood import bits_per_dimension
from tinyguard.training.train_pixel_cnn import Schedule, TrainablePixelCNN, train

SEED = 11
WIDTH, BLOCKS, MIXTURES = 32, 2, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=Path(".tinyguard/pixel-cnn-digits.pt"))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("pixel-cnn.npz"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    images, test = load_named("digits", "train").x, load_named("digits", "test").x
    schedule = Schedule(SEED, options.epochs, batch=32, peak_rate=3e-3)
    network = TrainablePixelCNN((8, 8, 1), WIDTH, BLOCKS, MIXTURES)
    average = train(network, torch.from_numpy(images), schedule, options.checkpoint)
    pixel_cnn = average.exported()
    save_pixel_cnn(options.output, pixel_cnn)
    parameters = sum(value.numel() for value in network.parameters())
    bits = bits_per_dimension(pixel_cnn, (test ^ 128).view("int8")).mean()
    print(f"{parameters:,} parameters, {bits:.3f} bits per dimension on {len(test)} held-out digits")


if __name__ == "__main__":
    main()
