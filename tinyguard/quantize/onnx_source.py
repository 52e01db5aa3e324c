# SPDX-License-Identifier: Apache-2.0
"""ONNX networks, through onnx2tf in a process and a folder of its own, without the network."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.quantize.keras_source import load_saved_model
from tinyguard.quantize.source_network import Source, as_arrays, check_once
from tinyguard.quiet import SHOWN_LINES, one_line

SAMPLE_FILE = "calibration_image_sample_data_20x128x128x3_float32.npy"
INPUT_NAME = "network_input"


def load_onnx(
    path: Path,
    calibration: np.ndarray,
    kind: str = "onnx",
    name: str | None = None,
    names: tuple[str, ...] | None = None,
) -> Source:
    """An ONNX network with one input; `calibration` float32 (N, ...) in the layout of the data, NHWC.

    An input with channels first becomes channels last, as TFLite wants it; one that has the data's
    layout already is kept. The outputs have the order of the graph's, and their names unless `names` are
    given.
    """
    session = _session(path)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise TinyguardError(f"{path} has {len(inputs)} inputs: quantize takes networks with one input")
    key, outputs = inputs[0].name, tuple(output.name for output in session.get_outputs())
    check_once(name or path.name, outputs, names or outputs)
    shape = calibration.shape[1:]
    first = channels_first(shape)
    transposed = _is_transposed(tuple(inputs[0].shape[1:]), shape, path)
    axes = (0, len(shape), *range(1, len(shape)))

    def forward(x: np.ndarray) -> tuple[np.ndarray, ...]:
        x = np.ascontiguousarray(x.transpose(axes)) if transposed else x
        return as_arrays(session.run(None, {key: x}))

    notes = (f"input {first} (channels first) became {shape} (channels last)",) if transposed else ()
    with tempfile.TemporaryDirectory(prefix="tinyguard-onnx-") as folder:
        converted = _onnx2tf(path, Path(folder), calibration, keep=not transposed)
        source = load_saved_model(converted, kind)
    if source.shape != tuple(shape):
        raise TinyguardError(f"{path}: onnx2tf made the input {source.shape}, the data is {tuple(shape)}")
    function, owner = source.function, source.owner
    return Source(kind, name or path.name, source.shape, forward, function, owner, notes, names or outputs)


def channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of one sample with its last axis moved to the front."""
    return (shape[-1], *shape[:-1])


def _is_transposed(network: tuple[Any, ...], data: tuple[int, ...], path: Path) -> bool:
    """Whether the network takes channels first; open sizes fit anything. Raises where neither fits."""

    def fits(shape: tuple[int, ...]) -> bool:
        return len(network) == len(shape) and all(
            not isinstance(size, int) or size == wanted for size, wanted in zip(network, shape, strict=True)
        )

    if len(data) > 1 and fits(channels_first(data)):
        return True
    if fits(data):
        return False
    raise TinyguardError(
        f"{path} takes {network} and the calibration data is {data}: give data of that shape"
    )


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise TinyguardError("ONNX networks need onnx2tf: type pip install 'tinyguard[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise TinyguardError(f"{path} is no ONNX network that can be run ({one_line(error)})") from None


def _onnx2tf(path: Path, folder: Path, calibration: np.ndarray, keep: bool) -> Path:
    """The SavedModel that onnx2tf makes of the file, batch 1. With `keep` the input is not transposed.

    onnx2tf downloads SAMPLE_FILE unless its working directory has one, so it gets one of the user's data.
    """
    np.save(folder / SAMPLE_FILE, _sample_images(calibration))
    shape = calibration.shape[1:]
    _save_renamed(path, folder / "network.onnx", shape if keep else channels_first(shape))
    command = [sys.executable, "-m", "onnx2tf", "-i", "network.onnx", "-o", "saved", "-b", "1", "-osd"]
    command += ["-kat", INPUT_NAME] if keep else []
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = os.environ | {"PATH": search, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / "saved" / "saved_model.pb").is_file():
        sys.stderr.write("\n".join((done.stdout + done.stderr).splitlines()[-SHOWN_LINES:]) + "\n")
        raise TinyguardError(f"onnx2tf could not convert {path}: its last words are above")
    return folder / "saved"


def _save_renamed(path: Path, target: Path, shape: tuple[int, ...]) -> None:
    """A copy for one sample of `shape`, whose input and outputs a SavedModel signature can name, in order.

    Every size is inferred anew: where the batch is open onnx2tf guesses layouts, and can guess wrong.
    """
    import onnx

    model = onnx.load(str(path))
    stored = {constant.name for constant in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    names = {inputs[0].name: INPUT_NAME}
    names |= {value.name: f"output_{place:02d}" for place, value in enumerate(model.graph.output)}
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
    for size, dimension in zip((1, *shape), inputs[0].type.tensor_type.shape.dim, strict=True):
        dimension.dim_value = size
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    onnx.save(onnx.shape_inference.infer_shapes(model), str(target))


def _sample_images(calibration: np.ndarray) -> np.ndarray:
    """float32 (20, 128, 128, 3) in [0, 1] from any calibration data: repeated, stretched, three channels."""
    rows = calibration[np.arange(20) % len(calibration)]
    planes = rows[..., None, None] if rows.ndim == 2 else rows[..., None] if rows.ndim == 3 else rows
    planes = planes.reshape(20, planes.shape[1], -1, planes.shape[-1])
    down, across = (np.arange(128) * size // 128 for size in planes.shape[1:3])
    images = planes[:, down][:, :, across][..., np.arange(3) % planes.shape[-1]]
    low, high = float(images.min()), float(images.max())
    return ((images - low) / (high - low or 1.0)).astype(np.float32)
