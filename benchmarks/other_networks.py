# SPDX-License-Identifier: Apache-2.0
"""Networks that no table names, drawn here with random weights: audio, inverted residuals, autoencoder.

    python benchmarks/other_networks.py [--cmsis-nn DIR] [--cores M7 ...]

What holds for three published networks should hold for the next one. Needs TensorFlow to quantize them
and CMSIS-NN (or CMSIS_NN_ROOT) to compare with.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from kernels import CORES, measure, slower_layers, table

from tinyguard.codegen import Options
from tinyguard.data import Samples
from tinyguard.graph import Graph
from tinyguard.quantize import quantize
from tinyguard.tflite import read_graph

GOALS = {"audio 1-D": 2.0, "inverted residuals": 2.0, "autoencoder": 1.4}


def audio(keras: Any) -> Any:
    """A 1-D separable network on 128 frames of 40 features, kernels of 15 and 5."""
    layers = keras.layers
    x = source = keras.Input((128, 1, 40), batch_size=1)
    x = layers.Conv2D(48, (15, 1), strides=(2, 1), padding="same", activation="relu")(x)
    for channels in (48, 64, 80):
        x = layers.DepthwiseConv2D((5, 1), padding="same", activation="relu")(x)
        x = layers.Conv2D(channels, 1, activation="relu")(x)
    x = layers.DepthwiseConv2D((15, 1), padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(source, layers.Dense(12, activation="softmax")(x))


def inverted_residuals(keras: Any) -> Any:
    """MobileNetV2's blocks with odd channel counts on 48 x 48 pixels."""
    layers = keras.layers

    def block(x: Any, channels: int, stride: int) -> Any:
        inside = x.shape[-1] * 5
        y = layers.Conv2D(inside, 1, activation="relu6")(x)
        y = layers.DepthwiseConv2D(3, strides=stride, padding="same", activation="relu6")(y)
        y = layers.Conv2D(channels, 1)(y)
        return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == channels else y

    x = source = keras.Input((48, 48, 3), batch_size=1)
    x = layers.Conv2D(11, 3, strides=2, padding="same", activation="relu6")(x)
    for channels, stride in ((11, 1), (13, 2), (13, 1), (21, 2), (21, 1), (35, 1)):
        x = block(x, channels, stride)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(source, layers.Dense(5, activation="softmax")(x))


def autoencoder(keras: Any) -> Any:
    """Fully connected, 640 in and out, 8 in the middle."""
    layers = keras.layers
    x = source = keras.Input((640,), batch_size=1)
    for width in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = layers.Dense(width, activation="relu")(x)
    return keras.Model(source, layers.Dense(640)(x))


NETWORKS: dict[str, Callable[[Any], Any]] = {
    "audio 1-D": audio,
    "inverted residuals": inverted_residuals,
    "autoencoder": autoencoder,
}


def quantized(name: str, folder: Path) -> Graph:
    """The int8 graph of one network, weights and calibration data drawn with a fixed seed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    keras.utils.set_random_seed(0)
    model = NETWORKS[name](keras)
    path = folder / f"{name.replace(' ', '-')}.keras"
    model.save(path)
    shape = model.input_shape[1:]
    samples = Samples(np.random.default_rng(0).normal(size=(64, *shape)).astype(np.float32), None, name=name)
    content, _ = quantize(str(path), samples)
    return read_graph(content)


def main() -> None:
    parser = argparse.ArgumentParser(description="Networks of no table, against CMSIS-NN.")
    parser.add_argument("--cmsis-nn", type=Path, default=os.environ.get("CMSIS_NN_ROOT"))
    parser.add_argument("--cores", nargs="+", choices=CORES, default=["M7"])
    chosen = parser.parse_args()
    if not chosen.cmsis_nn:
        raise SystemExit("give --cmsis-nn DIR or set CMSIS_NN_ROOT")
    ways: dict[str, Options] = {
        "CMSIS-NN": {"kernels": "cmsis-nn", "cmsis_nn": Path(chosen.cmsis_nn), "passes": False},
        "speed": {"optimize": "speed"},
        "size": {"optimize": "size"},
    }
    found = []
    with tempfile.TemporaryDirectory(prefix="tinyguard-") as folder:
        for name in NETWORKS:
            graph = quantized(name, Path(folder))
            for core in chosen.cores:
                for kernels, options in ways.items():
                    print(f"{name} on {core}, {kernels}", file=sys.stderr)
                    project = Path(folder) / f"{name}-{core}-{kernels}".replace(" ", "-")
                    found.append(measure(name, core, graph, kernels, options, project))
    print(table(found))
    for line in slower_layers(found):
        print(f"- slower: {line}")
    print("goals (speed, M7): " + ", ".join(f"{name} {goal}x" for name, goal in GOALS.items()))
    if any(row.differing_bytes for row in found):
        raise SystemExit("outputs differ from the reference")


if __name__ == "__main__":
    main()
