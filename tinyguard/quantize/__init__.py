"""Trained Keras, ONNX and PyTorch networks to int8 and int16x8 `.tflite`. Needs TensorFlow."""

from tinyguard.quantize.pipeline import quantize
from tinyguard.quantize.report import Accuracy, Report
from tinyguard.quantize.source import Source

__all__ = ["Accuracy", "Report", "Source", "quantize"]
