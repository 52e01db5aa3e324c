# SPDX-License-Identifier: Apache-2.0
"""Trained Keras, ONNX and PyTorch networks to int8 and int16x8 `.tflite`. Needs TensorFlow."""

from tinyguard.quantize.outcome import Accuracy, Output, Report
from tinyguard.quantize.pipeline import quantize
from tinyguard.quantize.source_network import Source

__all__ = ["Accuracy", "Output", "Report", "Source", "quantize"]
