# SPDX-License-Identifier: Apache-2.0
"""What quantization costs two ResNet-8 on 2,000 CIFAR-10 test images, calibrated on training images."""

from pathlib import Path

import pytest

from tinyguard.data import PRESETS, load_data, shared_folder
from tinyguard.quantize import quantize

IMAGES = 2000
POINTS_LOST = {"int8": 0.010, "int16x8": 0.005}
MODELS = Path(__file__).parents[2] / "models"
SHARED = shared_folder()
SOURCES = {
    "keras": (f"{SHARED}/models/pretrainedResnet.h5", "raw"),
    "pytorch": (f"{MODELS}/resnet8-cifar10/network.py:trained", "unit"),
}


@pytest.mark.slow
@pytest.mark.skipif(SHARED is None, reason="needs CIFAR-10 and the networks in TINYGUARD_SHARED")
@pytest.mark.parametrize("scheme", POINTS_LOST)
@pytest.mark.parametrize("kind", SOURCES)
def test_quantization_costs_little(kind: str, scheme: str) -> None:
    source, preset = SOURCES[kind]
    calibration, evaluation = load_data("cifar10:train", limit=500), load_data("cifar10:test", limit=IMAGES)
    _, report = quantize(source, calibration, scheme, normalization=PRESETS[preset], evaluation=evaluation)
    found = report.accuracy
    assert found is not None
    print(f"{kind} {scheme}: float {found.float_network:.4f}, quantized {found.quantized_network:.4f}")
    assert report.kind == kind
    assert found.samples == IMAGES
    assert found.float_network > 0.83
    assert abs(found.float_network - found.quantized_network) <= POINTS_LOST[scheme] + 1e-9
