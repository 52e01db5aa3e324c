# SPDX-License-Identifier: Apache-2.0
"""The float networks that attacks are compared on, as PyTorch modules from pixel shares to logits."""

import io
import runpy
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

MODELS = Path(__file__).resolve().parents[2] / "models"


class Digits(nn.Module):
    """models/digits before quantization: float32 (N, 1, 8, 8) in [0, 1] to logits (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16, eps=1e-3)
        self.separable = nn.Sequential(*_separable(16, 24), *_separable(24, 32))
        self.dense = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.separable(F.relu(self.norm(self.conv(x))))
        # Keras flattens height, width, channels.
        return self.dense(y.permute(0, 2, 3, 1).flatten(1))


def _separable(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs, eps=1e-3),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]


def digits() -> nn.Module:
    """`digits_plain` channels last, as resnet8: on a CPU convolutions are half again to twice as fast so."""
    return digits_plain().to(memory_format=torch.channels_last)


def digits_plain() -> nn.Module:
    """The trained digits network. Its weights are read with h5py, so TensorFlow is not needed."""
    import h5py

    archive = zipfile.ZipFile(MODELS / "digits" / "model.keras")
    with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        layers = file["layers"]
        network = Digits().eval()
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        names = ("conv2d", "depthwise_conv2d", "conv2d_1", "depthwise_conv2d_1", "conv2d_2")
        for name, convolution in zip(names, convolutions, strict=True):
            kernel = layers[name]["vars"]["0"][()]
            order = (2, 3, 0, 1) if name.startswith("depthwise") else (3, 2, 0, 1)
            _fill(convolution.weight, kernel.transpose(order))
        for index, norm in enumerate(norms):
            stored = layers[f"batch_normalization_{index}" if index else "batch_normalization"]["vars"]
            parts = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
            for position, part in enumerate(parts):
                _fill(part, stored[str(position)][()])
        _fill(network.dense.weight, layers["dense"]["vars"]["0"][()].T)
        _fill(network.dense.bias, layers["dense"]["vars"]["1"][()])
    return network


def _fill(target: torch.Tensor | None, values: np.ndarray) -> None:
    assert target is not None
    assert target.shape == values.shape
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def resnet8() -> nn.Module:
    """`resnet8_plain`, channels last."""
    return resnet8_plain().to(memory_format=torch.channels_last)


def resnet8_plain() -> nn.Module:
    """models/resnet8-cifar10 before quantization: float32 (N, 3, 32, 32) in [0, 1] to logits (N, 10)."""
    network: nn.Module = runpy.run_path(str(MODELS / "resnet8-cifar10" / "network.py"))["logits"]()
    return network


def images(name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` held-out images of a data set: float32 (N, C, H, W) = pixel / 255, and labels."""
    from tinyguard.data import load_named

    samples = load_named(name, "test")
    assert samples.y is not None
    x = samples.x[:count].astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)), samples.y[:count]
