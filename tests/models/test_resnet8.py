# SPDX-License-Identifier: Apache-2.0
"""The committed ResNet-8 files are what their card says."""

from pathlib import Path

import numpy as np
import pytest

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.data import load_data, shared_folder, to_codes
from tinyguard.tflite import read_metadata

FOLDER = Path(__file__).parents[2] / "models" / "resnet8-cifar10"
FILES = {"model.tflite": "int8", "model-int16x8.tflite": "int16"}
needs_images = pytest.mark.skipif(shared_folder() is None, reason="needs CIFAR-10 in TINYGUARD_SHARED")


def accuracy(name: str, limit: int | None) -> float:
    """Percent of the first test images that the file classifies right."""
    content = (FOLDER / name).read_bytes()
    backend, samples = LiteRTBackend(content), load_data("cifar10:test", limit=limit)
    assert backend.inputs[0].dtype == FILES[name]
    (codes,) = backend.run(to_codes(samples, backend.inputs[0], read_metadata(content)))
    return 100 * float(np.mean(codes.argmax(1) == samples.y))


@needs_images
@pytest.mark.parametrize("name", FILES)
def test_the_files_classify(name: str) -> None:
    assert accuracy(name, 200) >= 83


@pytest.mark.slow
@needs_images
@pytest.mark.parametrize("name", FILES)
def test_the_accuracy_is_the_cards(name: str) -> None:
    row = next(row for row in (FOLDER / "README.md").read_text().splitlines() if f"`{name}`" in row)
    assert f"| {accuracy(name, None):.2f} % |" in row


def test_the_weights_load_without_pickle_and_pixels_are_codes() -> None:
    with np.load(FOLDER / "weights.npz", allow_pickle=False) as arrays:
        assert arrays["dense.weight"].shape == (10, 64)
    content = (FOLDER / "model.tflite").read_bytes()
    tensor = LiteRTBackend(content).inputs[0]
    assert tensor.zero_point == -128
    assert tensor.scale == pytest.approx(1 / 255, rel=1e-6)
    metadata = read_metadata(content)
    assert metadata is not None
    assert metadata.class_names is not None
    assert metadata.class_names[3] == "cat"
