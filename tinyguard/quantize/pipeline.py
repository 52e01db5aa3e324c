# SPDX-License-Identifier: Apache-2.0
"""From a trained network to one quantized `.tflite` and a report on what that cost."""

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.data import Samples, real_values, to_codes
from tinyguard.data.pixel_normalization import UNIT, pixel_values
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.quantize.accuracy import judged_places, output_accuracy, output_error, target_places, unfit
from tinyguard.quantize.convert import SCHEMES, spanning_pixels
from tinyguard.quantize.converted import convert
from tinyguard.quantize.keras_source import load_keras, load_saved_model
from tinyguard.quantize.layers import layer_errors
from tinyguard.quantize.onnx_source import load_onnx
from tinyguard.quantize.outcome import Output, Report
from tinyguard.quantize.roles import stated_roles
from tinyguard.quantize.source_exits import check_exit_options, exit_figures, exit_places, never_leaving
from tinyguard.quantize.source_network import Source
from tinyguard.quantize.torch_source import load_torch
from tinyguard.quiet import quiet
from tinyguard.sources.torch_files import ENDINGS as TORCH_ENDINGS
from tinyguard.tflite import Metadata, Normalization, read_graph, read_metadata, with_metadata

KERAS_ENDINGS = (".keras", ".h5", ".hdf5")
ENDINGS = (*KERAS_ENDINGS, ".onnx", ".tflite", *TORCH_ENDINGS)


def quantize(
    source: str | Path | Source,
    calibration: Samples,
    scheme: str = "int8",
    *,
    samples: int = 500,
    normalization: Normalization | None = None,
    evaluation: Samples | None = None,
    class_names: tuple[str, ...] | None = None,
    roles: Mapping[str, str] = MappingProxyType({}),
    output: str | None = None,
    exits: str | None = None,
) -> tuple[bytes, Report]:
    """Quantize a trained network after training; returns the `.tflite` and the report.

    `source` is a Keras, ONNX, TorchScript or torch.export file, a SavedModel folder, a PyTorch
    `module:function`, or a Source. The first `samples` of `calibration` (uint8 pixels or float32 values,
    NHWC) set the ranges. Pixels are normalised with `normalization` (pixel / 255 when it is None), which is
    written into the metadata with the class names. `evaluation` with labels gives the accuracy figures, of
    every output that labels judge, or of the one named or numbered `output`; real targets give mean absolute
    errors, and their outputs the role "values". `roles`: what else the file says of outputs, by name or
    number ("" for the only one). The file lists the outputs in the source's order.

    `exits`: the outputs, "auto" for all or names and numbers with commas between, become exits, shallowest
    first; others are left out. The last exit answers (the policy `never`).
    Raises TinyguardError for a source that cannot be read or converted and for data that does not fit.
    """
    if scheme not in SCHEMES:
        raise TinyguardError(f"no scheme {scheme}: type --scheme {' or '.join(SCHEMES)}")
    if exits is not None:
        check_exit_options(scheme, output, bool(roles), evaluation)
    chosen = calibration.first(samples)
    if chosen.x.dtype == np.uint8:
        normalization = normalization or UNIT
    x = real_values(chosen, normalization)
    network = source if isinstance(source, Source) else load_source(str(source), x)
    for data in (chosen, evaluation or chosen):
        _check_shape(network, data.x.shape[1:], data.name)
    if chosen.x.dtype == np.uint8 and normalization is not None:
        x = spanning_pixels(x, pixel_values(normalization, x.shape[-1]))
    metadata = Metadata.of(normalization=normalization, class_names=class_names)
    places = None if exits is None else exit_places(network, exits, x)
    converted = convert(network, scheme, x)
    if places is not None:
        network, converted = network.with_outputs(places), converted.with_outputs(places)
    plain = read_graph(converted.model, check=False)
    real = _real_places(plain, output, evaluation)
    metadata = metadata.with_section("outputs", stated_roles(plain, roles, real))
    section = None if exits is None else never_leaving(plain)
    model = with_metadata(converted.model, metadata)
    backend = LiteRTBackend(model)
    outputs = _judged(network, converted.float_model, model, real, output, converted.errors, evaluation)
    if section is not None:
        model = with_metadata(model, metadata.with_section("exits", section))
    alone = len(outputs) == 1
    report = Report(
        source=network.name,
        kind=network.kind,
        scheme=scheme,
        sha256=hashlib.sha256(model).hexdigest(),
        size_bytes=len(model),
        float_size_bytes=len(converted.float_model),
        calibration=chosen.name,
        calibration_samples=len(chosen),
        input=_border(backend.inputs[0]),
        output=_border(backend.outputs[0]) if alone else None,
        conversion_error=max(converted.errors),
        layers=layer_errors(converted.float_model, model, x),
        outputs=outputs,
        accuracy=outputs[0].accuracy if alone else None,
        exits=() if section is None else exit_figures(model, section, outputs),
        notes=(*network.notes, *converted.notes, *_pixel_note(chosen, normalization)),
    )
    return model, report


def load_source(text: str, x: np.ndarray) -> Source:
    """The network that SOURCE names; `x` is calibration data, float32 (N, ...), channels last."""
    with quiet("loading TensorFlow", raw=True):
        try:
            importlib.import_module("tensorflow")
        except ImportError:
            raise TinyguardError(
                "quantize needs TensorFlow: type pip install 'tinyguard[keras]', or 'tinyguard[onnx]' for "
                "PyTorch and ONNX too"
            ) from None
    path = Path(text)
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return load_saved_model(path)
        raise TinyguardError(f"{text} is a folder without saved_model.pb: give a SavedModel or a file")
    if path.suffix in ENDINGS and not path.is_file():
        raise TinyguardError(f"{text} is not there")
    if path.suffix in KERAS_ENDINGS:
        return load_keras(path)
    if path.suffix == ".onnx":
        return load_onnx(path, x)
    if path.suffix == ".tflite":
        raise TinyguardError(f"{text} is a .tflite already: quantize the network it was made from")
    if ":" in text or path.is_file():
        return load_torch(text, x)
    raise TinyguardError(
        f"{text} is no network: give .keras, .h5, a SavedModel folder, .onnx, .pt2 or MODULE:FUNCTION"
    )


def _real_places(graph: Graph, output: str | None, evaluation: Samples | None) -> list[int]:
    if evaluation is None or evaluation.targets is None:
        return []
    return target_places(graph, output, evaluation.targets, evaluation.name)


def _judged(
    network: Source,
    float_model: bytes,
    model: bytes,
    real: Sequence[int],
    wanted: str | None,
    errors: Sequence[float],
    evaluation: Samples | None,
) -> tuple[Output, ...]:
    """The file's outputs, with the accuracy of those that the labels of `evaluation` judge, and the errors of
    the outputs `real`, which its targets judge."""
    backend, metadata = LiteRTBackend(model), read_metadata(model) or Metadata()
    said = metadata.outputs or (None,) * len(errors)
    outputs = [
        Output(**_border(tensor) | {"shape": tensor.shape}, conversion_error=error, role=role)
        for tensor, error, role in zip(backend.outputs, errors, said, strict=True)
    ]
    if evaluation is None:
        return tuple(outputs)
    x = real_values(evaluation, metadata.normalization)
    codes = backend.run(to_codes(evaluation, backend.inputs[0], metadata))
    if real:
        values = LiteRTBackend(float_model).run(x)
        for place in real:
            error = output_error(values[place], codes[place], backend.outputs[place], evaluation)
            outputs[place] = replace(outputs[place], error=error)
        return tuple(outputs)
    graph = read_graph(model, check=False)
    places, values = judged_places(graph, wanted), network.predict(x)
    for place in places:
        accuracy = output_accuracy(graph, place, values[place], list(codes), evaluation)
        outputs[place] = replace(outputs[place], accuracy=accuracy)
    if not any(outputs[place].accuracy for place in places):
        raise unfit(network.name, evaluation, [output.shape for output in outputs])
    return tuple(outputs)


def _check_shape(network: Source, shape: tuple[int, ...], data: str) -> None:
    if network.shape != tuple(shape):
        raise TinyguardError(
            f"{network.name} takes samples of {network.shape} and {data} has {tuple(shape)}: give data of "
            "that shape, channels last"
        )


def _border(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }


def _pixel_note(samples: Samples, normalization: Normalization | None) -> tuple[str, ...]:
    if samples.x.dtype != np.uint8 or normalization is None:
        return ()
    mean, std = (
        ", ".join(f"{value:g}" for value in values) for values in (normalization.mean, normalization.std)
    )
    return (f"the network sees (pixel - {mean}) / {std}; the file's metadata says so",)
