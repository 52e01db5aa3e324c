# SPDX-License-Identifier: Apache-2.0
"""Train the digits network and quantize it: `python train.py` writes model.keras and model.tflite here.

Under a minute on one core; needs scikit-learn and TensorFlow and downloads nothing.
"""

import argparse
import os
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tensorflow import keras

from tinyguard.data import load_named, normalized
from tinyguard.data.pixel_normalization import UNIT
from tinyguard.files import write_atomically
from tinyguard.quantize import quantize

SEED = 11
EPOCHS = 40
COPIES = 4


def network() -> keras.Model:
    """8x8x1 pixels in [0, 1] to ten probabilities: 3x3 convolution, two separable ones, pooling, dense."""
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 1), name="pixels")
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for name, channels in (("first", 24), ("second", 32)):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(10, name="dense")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Softmax(name="softmax")(x), name="digits")


def shifted(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Images (N, 8, 8, 1), each moved by up to one pixel down and across; zeros come in."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    down, across = random.integers(0, 3, (2, len(x), 1))
    rows, columns = down + np.arange(8), across + np.arange(8)
    return padded[np.arange(len(x))[:, None, None], rows[:, :, None], columns[:, None, :]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="Folder to write to.")
    folder = parser.parse_args().output
    keras.utils.set_random_seed(SEED)
    train, held_out = load_named("digits", "train"), load_named("digits", "test")
    x, random = normalized(train.x, UNIT), np.random.default_rng(SEED)
    x = np.concatenate([x, *(shifted(x, random) for _ in range(COPIES))])
    assert train.y is not None
    y = np.tile(train.y, COPIES + 1)

    model = network()
    steps = EPOCHS * -(-len(x) // 64)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(x, y, batch_size=64, epochs=EPOCHS, verbose=0)
    model.optimizer = None
    model.save(folder / "model.keras")
    content, report = quantize(
        folder / "model.keras", train, evaluation=held_out, class_names=train.class_names
    )
    write_atomically(folder / "model.tflite", content)
    assert report.accuracy is not None
    print(
        f"{model.count_params():,} parameters, {len(content):,} bytes, held-out accuracy float "
        f"{100 * report.accuracy.float_network:.2f} %, int8 {100 * report.accuracy.quantized_network:.2f} %"
    )


if __name__ == "__main__":
    main()
