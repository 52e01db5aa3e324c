"""From a trained network to one quantized `.tflite` and a report on what that cost."""

import hashlib
import importlib
from pathlib import Path

import numpy as np

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.backends.torch_files import ENDINGS as TORCH_ENDINGS
from tinyguard.data import Samples, real_values, to_codes
from tinyguard.data.normalization import UNIT, pixel_values
from tinyguard.errors import TinyguardError
from tinyguard.graph import Tensor
from tinyguard.quantize.convert import SCHEMES, spanning_pixels, to_tflite
from tinyguard.quantize.keras_source import load_keras, load_saved_model
from tinyguard.quantize.layers import layer_errors
from tinyguard.quantize.onnx_source import load_onnx
from tinyguard.quantize.report import Accuracy, Report
from tinyguard.quantize.source import Source
from tinyguard.quantize.torch_source import load_torch
from tinyguard.quiet import quiet
from tinyguard.tflite import Metadata, Normalization, with_metadata

CHECKED_SAMPLES = 16
KERAS_ENDINGS = (".keras", ".h5", ".hdf5")
ENDINGS = (*KERAS_ENDINGS, ".onnx", ".tflite", *TORCH_ENDINGS)
CONVERSION_TOLERANCE = 0.01


def quantize(
    source: str | Path | Source,
    calibration: Samples,
    scheme: str = "int8",
    *,
    samples: int = 500,
    normalization: Normalization | None = None,
    evaluation: Samples | None = None,
    class_names: tuple[str, ...] | None = None,
) -> tuple[bytes, Report]:
    """Quantize a trained network after training; returns the `.tflite` and the report.

    `source` is a Keras, ONNX, TorchScript or torch.export file, a SavedModel folder, a PyTorch
    `module:function`, or a Source. The first `samples` of `calibration` (uint8 pixels or float32 values,
    NHWC) set the ranges. Pixels are normalised with `normalization` (pixel / 255 when it is None), which is
    written into the metadata with the class names. `evaluation` with labels gives the accuracy figures.
    Raises TinyguardError for a source that cannot be read or converted and for data that does not fit.
    """
    if scheme not in SCHEMES:
        raise TinyguardError(f"no scheme {scheme}: type --scheme {' or '.join(SCHEMES)}")
    chosen = calibration.first(samples)
    if chosen.x.dtype == np.uint8:
        normalization = normalization or UNIT
    x = real_values(chosen, normalization)
    network = source if isinstance(source, Source) else load_source(str(source), x)
    for data in (chosen, evaluation or chosen):
        _check_shape(network, data.x.shape[1:], data.name)
    if chosen.x.dtype == np.uint8 and normalization is not None:
        x = spanning_pixels(x, pixel_values(normalization, x.shape[-1]))
    float_model = to_tflite(network, None)
    conversion_error = _conversion_error(network, float_model, x)
    metadata = Metadata.of(normalization=normalization, class_names=class_names)
    model = with_metadata(to_tflite(network, scheme, x), metadata)
    backend = LiteRTBackend(model)
    report = Report(
        source=network.name,
        kind=network.kind,
        scheme=scheme,
        sha256=hashlib.sha256(model).hexdigest(),
        size_bytes=len(model),
        float_size_bytes=len(float_model),
        calibration=chosen.name,
        calibration_samples=len(chosen),
        input=_border(backend.inputs[0]),
        output=_border(backend.outputs[0]),
        conversion_error=conversion_error,
        layers=layer_errors(float_model, model, x),
        accuracy=_accuracy(network, backend, evaluation, metadata),
        notes=(*network.notes, *_pixel_note(chosen, normalization)),
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


def classes(outputs: np.ndarray) -> np.ndarray:
    """The predicted class of each row: the lowest index among equals; one sigmoid output splits at 0.5."""
    rows = outputs.reshape(len(outputs), -1)
    return (rows[:, 0] > 0.5).astype(np.int64) if rows.shape[1] == 1 else rows.argmax(1)


def _accuracy(
    network: Source, backend: LiteRTBackend, evaluation: Samples | None, metadata: Metadata
) -> Accuracy | None:
    """Float and quantized accuracy, on the first output of each."""
    if evaluation is None or evaluation.y is None:
        return None
    real = network.predict(real_values(evaluation, metadata.normalization))[0]
    real = real.reshape(len(evaluation), -1)
    if evaluation.y.max() >= max(2, real.shape[1]):
        raise TinyguardError(
            f"{evaluation.name} has label {evaluation.y.max()} and {network.name} has {real.shape[1]} "
            "outputs: give data of the network's classes"
        )
    floats = classes(real)
    output = backend.outputs[0]
    codes = backend.run(to_codes(evaluation, backend.inputs[0], metadata))[0]
    wholes = classes(np.float32(output.scale) * (codes.astype(np.float32) - output.zero_point))
    return Accuracy(
        data=evaluation.name,
        samples=len(evaluation),
        float_network=float(np.mean(floats == evaluation.y)),
        quantized_network=float(np.mean(wholes == evaluation.y)),
        same_prediction=float(np.mean(floats == wholes)),
    )


def _conversion_error(network: Source, float_model: bytes, x: np.ndarray) -> float:
    x = x[:CHECKED_SAMPLES]
    wanted, found = network.predict(x), LiteRTBackend(float_model).run(x)
    if [output.size for output in wanted] != [output.size for output in found]:
        raise TinyguardError(
            f"the converter gave {network.name} outputs of other sizes: save it in another format"
        )
    errors = [np.abs(a.reshape(b.shape) - b).max() for a, b in zip(wanted, found, strict=True)]
    for error, output in zip(errors, wanted, strict=True):
        if not error <= CONVERSION_TOLERANCE * max(1e-6, float(np.abs(output).max())):
            raise TinyguardError(
                f"the converter changed what {network.name} computes: its outputs differ by up to "
                f"{error:.3g} where they reach {np.abs(output).max():.3g}: save it in another format"
            )
    return float(max(errors))


def _check_shape(network: Source, shape: tuple[int, ...], data: str) -> None:
    if network.shape != tuple(shape):
        raise TinyguardError(
            f"{network.name} takes samples of {network.shape} and {data} has {tuple(shape)}: give data of "
            "that shape, channels last"
        )


def _border(tensor: Tensor) -> dict[str, object]:
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
