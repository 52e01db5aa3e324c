# SPDX-License-Identifier: Apache-2.0
"""Networks with several outputs of every kind: the source's order, names and values in the quantized file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.data import Samples, load_data, real_values, shared_folder, to_codes
from tinyguard.data.codes import dequantized
from tinyguard.errors import TinyguardError
from tinyguard.quantize import Report, Source, quantize
from tinyguard.quantize.axes import best_layout
from tinyguard.quantize.keras_source import keras_source, load_saved_model
from tinyguard.quantize.onnx_source import load_onnx
from tinyguard.quantize.torch_source import torch_source
from tinyguard.sources.torch_files import open_torch
from tinyguard.tflite import read_graph, read_metadata

SHARED = shared_folder()
needs_cases = pytest.mark.skipif(SHARED is None, reason="needs the cases in TINYGUARD_SHARED")
SIZES = (12, 11, 13, 5, 5, 5)
FLOAT_ERROR = 1e-5
Answer = Callable[[Any, list[Any]], Any]


def pixels(count: int = 24) -> Samples:
    """Random uint8 images (N, 8, 8, 3) with labels below 5."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return Samples(images, rng.integers(0, 5, count), name="random")


def check(source: Source, names: tuple[str, ...]) -> Report:
    """Quantize; each output of the file is that of the source with its number, in value and in name."""
    samples = pixels()
    model, report = quantize(source, samples, evaluation=samples)
    backend = LiteRTBackend(model)
    codes = backend.run(to_codes(samples, backend.inputs[0], read_metadata(model)))
    wanted = source.predict(real_values(samples, read_metadata(model).normalization))  # type: ignore[union-attr]
    found = [dequantized(array, tensor) for array, tensor in zip(codes, backend.outputs, strict=True)]
    for place, values in enumerate(found):
        layouts = [best_layout(one, values) for one in wanted]
        errors = [np.inf if layout is None else layout.error for layout in layouts]
        assert np.argmin(errors) == place
        assert errors[place] < 0.1 * np.abs(wanted[place]).max()
        assert report.outputs[place].conversion_error < FLOAT_ERROR
    assert source.outputs == names
    assert tuple(output.name for output in report.outputs) == names
    assert tuple(output.shape for output in report.outputs) == tuple(one.shape for one in backend.outputs)
    assert report.conversion_error == max(output.conversion_error for output in report.outputs)
    return report


def keras_heads(as_dictionary: bool) -> Any:
    """Dense heads of SIZES, as a list or as a dictionary whose keys are not in alphabetical order."""
    from tensorflow import keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    names = [f"head_{letter}" for letter in "zcxabm"]
    heads = [keras.layers.Dense(size, name=name)(x) for size, name in zip(SIZES, names, strict=True)]
    keys = [letter for letter in "qrpxzy"]
    return keras.Model(inputs, dict(zip(keys, heads, strict=True)) if as_dictionary else heads)


def torch_network(answer: Answer) -> Any:
    """A convolution and dense heads; `answer` makes what `forward` returns of their outputs."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = torch.nn.Conv2d(3, 4, 3)
            self.heads = torch.nn.ModuleList(torch.nn.Linear(144, size) for size in SIZES)

        def forward(self, x: Any) -> Any:
            y = self.layer(x)
            heads = [head(y.flatten(1)) for head in self.heads]
            return answer(y, heads)

    return Network().eval()


def from_torch(answer: Answer) -> Source:
    import torch

    return torch_source(torch_network(answer), "net", np.zeros((20, 8, 8, 3), np.float32), torch)


def test_keras_list(tmp_path: Path) -> None:
    names = ("head_z", "head_c", "head_x", "head_a", "head_b", "head_m")
    report = check(keras_source(keras_heads(False), "net"), names)
    assert all(output.accuracy is not None for output in report.outputs)
    assert (report.output, report.accuracy) == (None, None)
    rows = [text for label, text in report.rows() if label == "output 1"]
    assert rows[0].startswith("head_c: int8 1x11, scale ")
    assert rows[1].startswith("int8 accuracy ")


def test_keras_dictionary() -> None:
    check(keras_source(keras_heads(True), "net"), ("q", "r", "p", "x", "z", "y"))


def test_saved_model(tmp_path: Path) -> None:
    keras_heads(True).export(tmp_path, verbose=False)
    check(load_saved_model(tmp_path), ("p", "q", "r", "x", "y", "z"))


def test_torch_dictionary_of_lists_with_a_map() -> None:
    source = from_torch(
        lambda y, heads: {"z": heads[2], "map": y, "a": [heads[0], heads[1]], "same": tuple(heads[3:])}
    )
    report = check(source, ("z", "map", "a.0", "a.1", "same.0", "same.1", "same.2"))
    assert report.notes[1] == "output 1 'map' (4, 6, 6) (channels first) became (6, 6, 4) (channels last)"
    assert [output.accuracy is None for output in report.outputs].index(True) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        lambda y, heads: tuple(heads[:2]),
        lambda y, heads: (y.flatten(2), heads[0], y.reshape(-1, 2, 2, 6, 6)),
        lambda y, heads: (y.squeeze(0), heads[1], y.permute(0, 2, 3, 1).reshape(-1, 4)),
        lambda y, heads: (y.mean((2, 3), keepdim=True), y.mean(), heads[4], heads[5]),
        lambda y, heads: (y[:, :, :4, :4], y[:, :, :4, :4].transpose(2, 3), y[:, :, :4, :4].transpose(1, 2)),
    ],
)
def test_torch_outputs_of_every_shape(answer: Answer) -> None:
    source = from_torch(lambda y, heads: (*answer(y, heads), heads[2]))
    samples = pixels()
    model, report = quantize(source, samples)
    assert all(output.conversion_error < FLOAT_ERROR for output in report.outputs)
    assert read_graph(model).tensors[read_graph(model).outputs[-1]].shape == (1, 13)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["pt", "pt2"])
def test_torch_files(tmp_path: Path, ending: str) -> None:
    import torch

    network = torch_network(lambda y, heads: {"z": heads[3], "map": y, "a": heads[4]})
    path, example = tmp_path / f"network.{ending}", torch.zeros(1, 3, 8, 8)
    if ending == "pt":
        torch.jit.save(torch.jit.trace(network, example, strict=False), str(path))
    else:
        torch.export.save(torch.export.export(network, (example,)), path)
    source = torch_source(open_torch(str(path)), "net", np.zeros((20, 8, 8, 3), np.float32), torch)
    check(source, ("z", "map", "a"))


@pytest.mark.slow
@pytest.mark.parametrize("open_batch", [False, True])
def test_onnx(tmp_path: Path, open_batch: bool) -> None:
    import torch

    names = ("twelve", "map", "eleven", "third", "second", "first")
    network = torch_network(lambda y, heads: (heads[0], y, heads[1], *reversed(heads[3:])))
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, 8, 8),),
        str(tmp_path / "n.onnx"),
        dynamo=False,
        opset_version=17,
        input_names=["in"],
        output_names=list(names),
        dynamic_axes={"in": {0: "n"}} if open_batch else None,
    )
    report = check(load_onnx(tmp_path / "n.onnx", np.zeros((20, 8, 8, 3), np.float32)), names)
    assert report.notes[1] == "output 1 'map' (4, 6, 6) (channels first) became (6, 6, 4) (channels last)"


@needs_cases
def test_a_map_alone_from_onnx() -> None:
    model, report = quantize(f"{SHARED}/cases/seg_out.onnx", pixels())
    assert report.conversion_error < FLOAT_ERROR
    assert report.notes[1] == "output 0 'c' (4, 6, 6) (channels first) became (6, 6, 4) (channels last)"
    assert LiteRTBackend(model).outputs[0].shape == (1, 6, 6, 4)


@needs_cases
def test_a_keras_file_with_a_dictionary() -> None:
    data = load_data(f"{SHARED}/cases/two_named.npz")
    _, report = quantize(f"{SHARED}/cases/two_named.keras", data)
    assert [output.name for output in report.outputs] == ["zeta", "alpha"]
    assert report.conversion_error < FLOAT_ERROR


@needs_cases
def test_one_sigmoid_keeps_its_accuracy() -> None:
    data = load_data(f"{SHARED}/cases/sigmoid1.npz")
    labels = np.arange(len(data.x)) % 2
    _, report = quantize(
        f"{SHARED}/cases/sigmoid1.keras", data, evaluation=Samples(data.x, labels, name="drawn")
    )
    assert report.accuracy is not None
    assert report.accuracy.same_prediction > 0.9
    assert report.output is not None
    assert report.output["shape"] == [1, 1]
    assert report.outputs[0].accuracy == report.accuracy


def test_outputs_that_nothing_tells_apart() -> None:
    from tensorflow import keras

    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(inputs)
    dead = [
        keras.layers.Dense(4, "relu", name=name, bias_initializer=keras.initializers.Constant(-1e3 - place))(
            x
        )
        for place, name in enumerate(("b", "a"))
    ]
    network = keras.Model(inputs, [*dead, keras.layers.Dense(3, name="c")(x)])
    model, report = quantize(keras_source(network, "net"), pixels())
    assert [output.name for output in report.outputs] == ["b", "a", "c"]
    assert report.notes[0] == (
        "output 0 'b' has the values of another on all 24 calibration samples: its name told it"
    )
    twice = keras.Model(inputs, [dead[0], dead[1], dead[0]])
    with pytest.raises(TinyguardError, match=r"outputs 0 'b' and 2 'b' of net are one tensor: leave one"):
        quantize(keras_source(twice, "net"), pixels())
    assert model


def test_labels_that_fit_some_outputs_or_none() -> None:
    source = keras_source(keras_heads(False), "net")
    few = pixels()
    model, report = quantize(source, few, evaluation=Samples(few.x, np.full(24, 11), name="mine"))
    assert [output.accuracy is not None for output in report.outputs] == [True, False, True, *[False] * 3]
    with pytest.raises(
        TinyguardError, match=r"mine has label 13 and net has no output for it, of shapes \(1, 12"
    ):
        quantize(source, few, evaluation=Samples(few.x, np.full(24, 13), name="mine"))
    assert model
