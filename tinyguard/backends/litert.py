# SPDX-License-Identifier: Apache-2.0
"""The LiteRT back end: TFLite's reference kernels on this machine, codes in and codes out.

The oracle is `tf.lite.Interpreter` of TensorFlow 2.19 with BUILTIN_REF. ai-edge-litert and
tflite-runtime go through the same adapter where their reference is known to be right. ai-edge-litert
2.1 differs by 1 on FULLY_CONNECTED (on 28 of 200 images with the MLPerf Tiny ResNet-8); tflite-runtime
2.14 is wrong on per-channel FULLY_CONNECTED of 3-D inputs.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph import Quantization, Tensor, sample_shape
from tinyguard.quiet import quiet

RUNTIMES = {
    "tensorflow": ("tensorflow.lite.python.interpreter", "tensorflow==2.19.0"),
    "ai-edge-litert": ("ai_edge_litert.interpreter", "ai-edge-litert==2.1.0"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime==2.14.0"),
}


class LiteRTBackend:
    """A `.tflite` network run by TFLite's reference kernels, one sample at a time.

    `runtime` is a name in RUNTIMES, or None for the first that is installed and right on this network.
    With `preserve_all_tensors`, `read` and `trace` get every tensor after a run.
    """

    def __init__(
        self, model: str | Path | bytes, runtime: str | None = None, *, preserve_all_tensors: bool = False
    ) -> None:
        content = model if isinstance(model, bytes) else _read(Path(model))
        self.runtime, self._interpreter = _open(content, runtime, preserve_all_tensors)
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()

    @property
    def name(self) -> str:
        """The runtime, for run records."""
        return f"litert ({self.runtime}, reference kernels)"

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Arrays (N, *input shape without the batch) of the inputs' dtypes to the outputs' arrays (N, ...).

        Raises TinyguardError for a wrong number of inputs, dtype or shape.
        """
        self._check(inputs)
        shapes = [(len(inputs[0]), *sample_shape(tuple(detail["shape"]))) for detail in self._outputs]
        results = tuple(
            np.empty(shape, detail["dtype"]) for shape, detail in zip(shapes, self._outputs, strict=True)
        )
        for row in range(len(inputs[0])):
            self._invoke(inputs, row)
            for result, detail in zip(results, self._outputs, strict=True):
                result[row] = self._interpreter.get_tensor(detail["index"]).reshape(result.shape[1:])
        return results

    def read(self, indices: Sequence[int], *inputs: np.ndarray) -> dict[int, np.ndarray]:
        """Some tensors by their indices in the file, shape (N, *tensor.shape); those inside the network take
        `preserve_all_tensors`."""
        self._check(inputs)
        rows: dict[int, list[np.ndarray]] = {index: [] for index in indices}
        for row in range(len(inputs[0])):
            self._invoke(inputs, row)
            for index, values in rows.items():
                values.append(self._interpreter.get_tensor(index))
        return {index: np.stack(values) for index, values in rows.items()}

    def trace(self, *inputs: np.ndarray) -> Iterator[dict[int, np.ndarray]]:
        """For each sample, every tensor that has a value, by tensor index (batch of 1 kept)."""
        self._check(inputs)
        for row in range(len(inputs[0])):
            self._invoke(inputs, row)
            yield {index: array for index in self.tensor_names if (array := self._value(index)) is not None}

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The input tensors."""
        return tuple(_tensor(detail) for detail in self._inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The output tensors."""
        return tuple(_tensor(detail) for detail in self._outputs)

    @property
    def written(self) -> tuple[int, ...]:
        """The tensors that operators write, in execution order."""
        operators = self._interpreter._get_ops_details()
        return tuple(int(index) for operator in operators for index in operator["outputs"])

    @property
    def tensor_names(self) -> dict[int, str]:
        """The names of the file's tensors, by index."""
        return {detail["index"]: detail["name"] for detail in self._interpreter.get_tensor_details()}

    @property
    def quantization(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Scales and zero points of each quantized tensor, by index."""
        return {
            detail["index"]: (parameters["scales"], parameters["zero_points"])
            for detail in self._interpreter.get_tensor_details()
            if len((parameters := detail["quantization_parameters"])["scales"])
        }

    def _value(self, index: int) -> np.ndarray | None:
        try:
            value: np.ndarray = self._interpreter.get_tensor(index)
        except ValueError:
            return None
        return value

    def _invoke(self, inputs: tuple[np.ndarray, ...], row: int) -> None:
        for array, detail in zip(inputs, self._inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], array[row : row + 1])
        self._interpreter.invoke()

    def _check(self, inputs: tuple[np.ndarray, ...]) -> None:
        if len(inputs) != len(self._inputs):
            raise TinyguardError(f"the network has {len(self._inputs)} inputs and {len(inputs)} were given")
        for array, detail in zip(inputs, self._inputs, strict=True):
            wanted = tuple(detail["shape"][1:])
            if array.dtype != detail["dtype"] or array.shape[1:] != wanted or len(array) != len(inputs[0]):
                raise TinyguardError(
                    f"input {detail['name']} takes {np.dtype(detail['dtype'])} (N, {str(wanted)[1:-1]}) and "
                    f"was given {array.dtype} {array.shape}: convert the samples with tinyguard.data.to_codes"
                )


def _tensor(detail: dict[str, Any]) -> Tensor:
    parameters = detail["quantization_parameters"]
    quantization = None
    if len(parameters["scales"]):
        scales = tuple(float(scale) for scale in parameters["scales"])
        zero_points = tuple(int(point) for point in parameters["zero_points"])
        quantization = Quantization(scales, zero_points, int(parameters["quantized_dimension"]))
    shape = tuple(int(size) for size in detail["shape"])
    return Tensor(detail["index"], detail["name"], shape, np.dtype(detail["dtype"]).name, quantization)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TinyguardError(f"{path} cannot be read: {(error.strerror or '').lower()}") from None


def _open(content: bytes, runtime: str | None, preserve_all_tensors: bool) -> tuple[str, Any]:
    """The named runtime's interpreter, or the first one's that is installed and right on this network."""
    if runtime is not None and runtime not in RUNTIMES:
        raise TinyguardError(f"no runtime {runtime}: name one of {', '.join(RUNTIMES)}")
    reasons = []
    for name in [runtime] if runtime else RUNTIMES:
        module, package = RUNTIMES[name]
        try:
            with quiet(f"opening {name}", raw=True):
                opened = _interpreter(importlib.import_module(module), content, preserve_all_tensors)
        except ImportError:
            reasons.append(f"{name} is not installed (type pip install {package})")
            continue
        except (RuntimeError, ValueError) as error:
            reasons.append(f"{name} cannot run this file ({str(error).splitlines()[0][:120]})")
            continue
        wrong = _KNOWN_WRONG.get(name, _never)(opened)
        if wrong is None:
            return name, opened
        reasons.append(f"{name} {wrong}")
    raise TinyguardError(f"no reference runtime for this network: {'; '.join(reasons)}")


def _interpreter(module: ModuleType, content: bytes, preserve_all_tensors: bool) -> Any:
    interpreter = module.Interpreter(
        model_content=content,
        experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=preserve_all_tensors,
    )
    interpreter.allocate_tensors()
    return interpreter


def _dense(interpreter: Any) -> Iterator[tuple[int, int]]:
    """Rank of the input and number of weight scales of every quantized FULLY_CONNECTED."""
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    for operator in interpreter._get_ops_details():
        if operator["op_name"] == "FULLY_CONNECTED":
            data, weights = (tensors[index] for index in operator["inputs"][:2])
            if len(weights["quantization_parameters"]["scales"]):
                yield len(data["shape"]), len(weights["quantization_parameters"]["scales"])


def _ai_edge_wrong(interpreter: Any) -> str | None:
    return "differs by 1 on FULLY_CONNECTED" if any(_dense(interpreter)) else None


def _tflite_runtime_wrong(interpreter: Any) -> str | None:
    affected = any(rank > 2 and scales > 1 for rank, scales in _dense(interpreter))
    return "is wrong on per-channel FULLY_CONNECTED of 3-D inputs" if affected else None


def _never(interpreter: Any) -> str | None:
    del interpreter
    return None


_KNOWN_WRONG: dict[str, Callable[[Any], str | None]] = {
    "ai-edge-litert": _ai_edge_wrong,
    "tflite-runtime": _tflite_runtime_wrong,
}
