# SPDX-License-Identifier: Apache-2.0
"""Float network and calibration data to `.tflite`, with TensorFlow's own post-training quantization."""

from collections.abc import Iterator

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.quantize.source_network import Source
from tinyguard.quiet import quiet

SCHEMES = ("int8", "int16x8")


def to_tflite(source: Source, scheme: str | None, calibration: np.ndarray | None = None) -> bytes:
    """The network as `.tflite`: float32 for scheme None, else quantized with `calibration`.

    `calibration` is float32 (N, *shape) real values.
    int8: weights per channel, activations per tensor, int8 inputs and outputs. int16x8: 16-bit activations
    with zero point 0, 8-bit weights, int16 inputs and outputs. Nothing is left in float: an operator that
    the scheme lacks raises TinyguardError.
    """
    import tensorflow as tf

    # An owner that TensorFlow can save makes a detour over a file, which shuffles several outputs.
    owner = source.owner if len(source.function.outputs) == 1 else (source.owner,)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([source.function], owner)
    if scheme is not None:
        assert calibration is not None
        operators = tf.lite.OpsSet
        sets = {
            "int8": (operators.TFLITE_BUILTINS_INT8, tf.int8),
            "int16x8": (
                operators.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
                tf.int16,
            ),
        }
        if scheme not in sets:
            raise TinyguardError(f"no scheme {scheme}: type --scheme {' or '.join(SCHEMES)}")
        operator_set, border = sets[scheme]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _one_by_one(calibration)
        converter.target_spec.supported_ops = [operator_set]
        converter.inference_input_type = converter.inference_output_type = border
    with quiet(f"converting {source.name} to {scheme or 'float'} .tflite"):
        content: bytes = converter.convert()
    return content


def _one_by_one(calibration: np.ndarray) -> Iterator[list[np.ndarray]]:
    for sample in calibration:
        yield [sample[None].astype(np.float32)]


def spanning_pixels(calibration: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The calibration (N, ..., C) with the smallest and largest pixel in two corners of its first sample.

    `values` (256, C) are the real values of the pixels. The input's scale and zero point then cover exactly
    what a pixel can be, whichever images were drawn: in [0, 1] a pixel's int8 code is pixel - 128.
    """
    spanning = calibration.copy()
    places = spanning[0].reshape(-1, spanning.shape[-1])
    if len(places) > 1:
        places[0], places[-1] = values[0], values[-1]
    return spanning
