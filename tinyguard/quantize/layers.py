# SPDX-License-Identifier: Apache-2.0
"""Which layers quantization hurts: the signal-to-quantization-noise ratio of every activation."""

from dataclasses import dataclass

import numpy as np

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.data import quantized

SAMPLES = 16


@dataclass(frozen=True)
class LayerError:
    """One activation: `sqnr_db` = 10 log10(sum float^2 / sum (float - dequantized)^2) over some samples.

    The noise is all that has gathered since the input, not this layer's alone.
    """

    name: str
    sqnr_db: float


def layer_errors(float_model: bytes, model: bytes, x: np.ndarray) -> tuple[LayerError, ...]:
    """Every activation that both files know by one name, worst first; x float32 (N, *shape) real values."""
    plain = LiteRTBackend(float_model, preserve_all_tensors=True)
    whole = LiteRTBackend(model, preserve_all_tensors=True)
    (tensor,) = whole.inputs
    x = x[:SAMPLES]
    pairs = _activations(plain, whole)
    signal, noise = np.zeros(len(pairs)), np.zeros(len(pairs))
    traces = zip(plain.trace(x), whole.trace(quantized(x, tensor)), strict=True)
    for floats, codes in traces:
        for place, (float_index, index, scale, zero_point) in enumerate(pairs):
            real = floats[float_index].astype(np.float64)
            back = scale * (codes[index].astype(np.float64) - zero_point)
            signal[place] += np.sum(real**2)
            noise[place] += np.sum((real - back) ** 2)
    names = whole.tensor_names
    errors = [
        LayerError(names[index], float(10 * np.log10(signal[place] / noise[place])))
        for place, (_, index, _, _) in enumerate(pairs)
        if signal[place] > 0 and noise[place] > 0
    ]
    return tuple(sorted(errors, key=lambda error: error.sqnr_db))


def _activations(plain: LiteRTBackend, whole: LiteRTBackend) -> list[tuple[int, int, float, int]]:
    """(float tensor, quantized tensor, scale, zero point) of the activations both files have, by name."""
    float_names = {name: index for index, name in plain.tensor_names.items()}
    quantization, names = whole.quantization, whole.tensor_names
    return [
        (float_names[names[index]], index, float(scales[0]), int(zero_points[0]))
        for index in whole.written
        if (parameters := quantization.get(index)) and names[index] in float_names
        for scales, zero_points in [parameters]
    ]
