# SPDX-License-Identifier: Apache-2.0
"""The committed digits network is what its card says."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.data import load_data, to_codes
from tinyguard.quantize import quantize
from tinyguard.tflite import Normalization, read_metadata

FOLDER = Path(__file__).parents[2] / "models" / "digits"


def test_the_int8_accuracy_is_the_cards() -> None:
    content = (FOLDER / "model.tflite").read_bytes()
    metadata, backend = read_metadata(content), LiteRTBackend(content)
    assert metadata is not None
    assert metadata.normalization == Normalization((0.0,), (255.0,))
    assert metadata.class_names == tuple("0123456789")
    samples = load_data("digits:test")
    (codes,) = backend.run(to_codes(samples, backend.inputs[0], metadata))
    accuracy = 100 * float(np.mean(codes.argmax(1) == samples.y))
    assert accuracy >= 97
    assert f"| 360 digits | 98.33 % | {accuracy:.2f} % |" in (FOLDER / "README.md").read_text()


@pytest.mark.slow
def test_the_keras_file_gives_the_committed_file() -> None:
    train, test = load_data("digits:train"), load_data("digits:test")
    content, report = quantize(FOLDER / "model.keras", train, evaluation=test, class_names=train.class_names)
    assert report.accuracy is not None
    assert f"{100 * report.accuracy.float_network:.2f}" == "98.33"
    assert hashlib.sha256(content).digest() == hashlib.sha256((FOLDER / "model.tflite").read_bytes()).digest()
