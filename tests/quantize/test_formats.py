# SPDX-License-Identifier: Apache-2.0
"""The less common sources: SavedModel, Keras 2 files, torch.export, TorchScript, open batches, resizing."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.data import Samples, shared_folder
from tinyguard.errors import TinyguardError
from tinyguard.quantize import quantize

SHARED = shared_folder()


def pixels(count: int, *shape: int) -> Samples:
    """Random uint8 images."""
    x = np.random.default_rng(3).integers(0, 256, (count, *shape)).astype(np.uint8)
    return Samples(x, name="random")


def operators(model: bytes) -> list[str]:
    """The file's operators in order."""
    return [entry["op_name"] for entry in LiteRTBackend(model)._interpreter._get_ops_details()]


def up_and_down() -> Any:
    """A Keras network with everything that an open batch or a bad rewrite would spoil."""
    from tensorflow import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    x = inputs = keras.Input((8, 6, 3))
    x = layers.Conv2D(4, 3, dilation_rate=2, padding="same", activation="relu")(x)
    x = layers.UpSampling2D((2, 3))(x)
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same")(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def test_upsampling_and_transposed_convolutions_stay_plain(tmp_path: Path) -> None:
    path = tmp_path / "network.keras"
    up_and_down().save(path)
    model, report = quantize(path, pixels(8, 8, 6, 3))
    assert operators(model) == ["CONV_2D", "RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE_CONV", "MEAN"]
    assert report.notes[0] == "nearest UpSampling2D became RESIZE_NEAREST_NEIGHBOR"
    assert report.conversion_error < 1e-5


@pytest.mark.slow
def test_saved_model(tmp_path: Path) -> None:
    from tensorflow import keras

    inputs = keras.Input((8, 6, 3))
    keras.Model(inputs, keras.layers.Conv2DTranspose(3, 3, strides=2)(inputs)).export(tmp_path, verbose=False)
    model, report = quantize(tmp_path, pixels(8, 8, 6, 3), "int16x8")
    assert operators(model) == ["TRANSPOSE_CONV"]
    assert report.kind == "savedmodel"
    assert LiteRTBackend(model).outputs[0].shape == (1, 17, 13, 3)


@pytest.mark.slow
@pytest.mark.skipif(SHARED is None, reason="needs the networks in TINYGUARD_SHARED")
def test_a_file_of_keras_2() -> None:
    assert SHARED is not None
    model, report = quantize(SHARED / "models" / "vww_96.h5", pixels(8, 96, 96, 3))
    assert report.conversion_error < 1e-4
    assert set(operators(model)) == {
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "SOFTMAX",
    }


def small_torch() -> Any:
    """Square inner shapes, where a guessed layout goes wrong unseen."""
    import torch

    torch.manual_seed(0)
    layers = torch.nn
    return layers.Sequential(
        layers.Conv2d(3, 8, 3, padding=1),
        layers.ReLU(),
        layers.Conv2d(8, 16, 3, stride=2, padding=1),
        layers.AvgPool2d(2),
        layers.Flatten(),
        layers.Linear(64, 5),
    ).eval()


def as_open_onnx(network: Any, path: Path) -> None:
    import torch

    torch.onnx.export(
        network,
        (torch.zeros(1, 3, 8, 8),),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=["in"],
        dynamic_axes={"in": {0: "n"}},
    )


def as_exported(network: Any, path: Path) -> None:
    import torch

    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, 8, 8),)), path)


def as_torchscript(network: Any, path: Path) -> None:
    import torch

    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 3, 8, 8)), str(path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "save"), [("n.onnx", as_open_onnx), ("n.pt2", as_exported), ("n.pt", as_torchscript)]
)
def test_torch_files_compute_the_same(tmp_path: Path, name: str, save: Callable[[Any, Path], None]) -> None:
    import torch

    network = small_torch()
    save(network, tmp_path / name)
    samples = pixels(40, 8, 8, 3)
    model, report = quantize(tmp_path / name, samples)
    assert report.conversion_error < 1e-5
    backend = LiteRTBackend(model)
    codes = (samples.x.astype(int) - 128).astype(np.int8)
    with torch.no_grad():
        wanted = network(torch.from_numpy(samples.x.transpose(0, 3, 1, 2) / np.float32(255))).numpy()
    found = backend.outputs[0].scale * (backend.run(codes)[0].astype(float) - backend.outputs[0].zero_point)
    assert np.abs(wanted - found).max() < 0.05 * np.abs(wanted).max()


def test_pickled_code_is_never_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    for name in ("n.pt", "n.pth", "n.pt2", "n.ckpt", "n.bin"):
        (tmp_path / name).write_bytes(pickle.dumps(Hostile()))
        with pytest.raises(TinyguardError):
            quantize(tmp_path / name, pixels(4, 8, 8, 3))
    assert not (tmp_path / "ran").exists()
