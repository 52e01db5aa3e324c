# SPDX-License-Identifier: Apache-2.0
"""A network in float and quantized `.tflite`, proven to be the source's, outputs in the source's order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.data import quantized
from tinyguard.data.codes import dequantized
from tinyguard.errors import TinyguardError
from tinyguard.quantize.axes import described
from tinyguard.quantize.convert import to_tflite
from tinyguard.quantize.matching import Match, Outputs, TiedError, match_outputs, match_quantized
from tinyguard.quantize.source_network import Source, output_label
from tinyguard.tflite import with_outputs

CHECKED_SAMPLES = 16


@dataclass(frozen=True)
class Converted:
    """Both files. `errors`: per output the largest difference between the source's values and the float
    file's, over a few samples. `notes` say what became of outputs."""

    float_model: bytes
    model: bytes
    errors: tuple[float, ...]
    notes: tuple[str, ...]

    def with_outputs(self, places: Sequence[int]) -> Self:
        """Both files with their outputs number `places` alone, in that order."""
        return replace(
            self,
            float_model=with_outputs(self.float_model, places),
            model=with_outputs(self.model, places),
            errors=tuple(self.errors[place] for place in places),
        )


def convert(source: Source, scheme: str, x: np.ndarray) -> Converted:
    """Quantize with calibration data `x`, float32 (N, *shape).

    Raises TinyguardError where a file cannot be made, computes something else than the source, or has outputs
    that cannot be told apart.
    """
    float_model = to_tflite(source, None)
    matches = _matches(source, float_model, x)
    model = to_tflite(source, scheme, x)
    places = [match.place for match in matches]
    names = source.outputs if len(matches) > 1 else ()
    quantized_places = _quantized_places(source, float_model, model, places, x)
    return Converted(
        float_model=with_outputs(float_model, places, names),
        model=with_outputs(model, quantized_places, names),
        errors=tuple(match.layout.error for match in matches),
        notes=tuple(_notes(source, matches, x)),
    )


def _matches(source: Source, float_model: bytes, x: np.ndarray) -> tuple[Match, ...]:
    """On a few samples, and on all where those leave outputs tied; only there do names count."""
    backend = LiteRTBackend(float_model)

    fed = {tensor.index for tensor in backend.inputs}
    if any(tensor.index in fed for tensor in backend.outputs):
        raise TinyguardError(f"an output of {source.name} is its input: leave it out of the network")

    def matched(samples: np.ndarray, hints: Sequence[str]) -> tuple[Match, ...]:
        wanted = Outputs(source.predict(samples), source.outputs)
        return match_outputs(source.name, wanted, _outputs(backend, backend.run(samples)), hints)

    try:
        return matched(x[:CHECKED_SAMPLES], ())
    except TiedError:
        return matched(x, [tensor.name.partition(":")[0] for tensor in source.function.outputs])


def _quantized_places(
    source: Source, float_model: bytes, model: bytes, places: Sequence[int], x: np.ndarray
) -> tuple[int, ...]:
    """For each of the source's outputs its place in the quantized file."""
    plain, whole = LiteRTBackend(float_model), LiteRTBackend(model)
    for tensor in whole.outputs:
        if tensor.quantization is None:
            raise TinyguardError(
                f"{source.name} has an output of {tensor.dtype} that cannot be quantized ('{tensor.name}'): "
                "leave it out of the network"
            )
    if len(places) == 1:
        return (0,)
    x = x[:CHECKED_SAMPLES]
    floats, codes = plain.run(x), whole.run(quantized(x, whole.inputs[0]))
    values = [dequantized(array, tensor) for array, tensor in zip(codes, whole.outputs, strict=True)]
    actual = _outputs(plain, floats)
    wanted = Outputs([actual.values[place] for place in places], [actual.names[place] for place in places])
    return match_quantized(source.name, wanted, _outputs(whole, values))


def _outputs(backend: LiteRTBackend, values: Sequence[np.ndarray]) -> Outputs:
    tensors = backend.outputs
    return Outputs(values, [tensor.name for tensor in tensors], [tensor.index for tensor in tensors])


def _notes(source: Source, matches: Sequence[Match], x: np.ndarray) -> Iterator[str]:
    shapes = [values.shape[1:] for values in source.predict(x[:1])]
    for place, (match, shape) in enumerate(zip(matches, shapes, strict=True)):
        label = f"output {output_label(source.outputs, place)}"
        if match.layout.axes:
            yield f"{label} {described(shape, match.layout.axes)}"
        if match.tied:
            yield f"{label} has the values of another on all {len(x)} calibration samples: its name told it"
