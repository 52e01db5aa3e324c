# SPDX-License-Identifier: Apache-2.0
"""Networks of every kind to .tflite: figures, metadata and refusals."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.cli import group
from tinyguard.data import Samples, load_data, to_codes
from tinyguard.errors import TinyguardError
from tinyguard.quantize import Report, quantize
from tinyguard.quantize.pipeline import load_source
from tinyguard.tflite import Normalization, read_metadata

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.keras"
TORCH_NETWORK = """
import torch

def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, padding=1, groups=8), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 4), torch.nn.Softmax(1),
    )

def number():
    return 3
"""


def pixels(count: int, *shape: int) -> Samples:
    """Random uint8 images."""
    x = np.random.default_rng(3).integers(0, 256, (count, *shape)).astype(np.uint8)
    return Samples(x, name="random")


@pytest.fixture(scope="module", params=["int8", "int16x8"])
def digits(request: pytest.FixtureRequest) -> tuple[bytes, Report]:
    return quantize(
        DIGITS,
        load_data("digits:train"),
        request.param,
        samples=200,
        evaluation=load_data("digits:test"),
        class_names=tuple("0123456789"),
    )


def test_digits_lose_nothing(digits: tuple[bytes, Report]) -> None:
    accuracy = digits[1].accuracy
    assert accuracy is not None
    assert accuracy.samples == 360
    assert accuracy.float_network >= 0.97
    assert abs(accuracy.float_network - accuracy.quantized_network) <= 0.006
    assert accuracy.same_prediction >= 0.99
    assert digits[1].conversion_error < 1e-4


def test_the_border_is_what_the_scheme_says(digits: tuple[bytes, Report]) -> None:
    model, report = digits
    found = LiteRTBackend(model).inputs[0]
    assert found.shape == (1, 8, 8, 1)
    if report.scheme == "int8":
        assert (found.dtype, found.zero_point) == ("int8", -128)
        assert found.scale == pytest.approx(1 / 255, rel=1e-6)
        assert report.output["scale"] == 1 / 256
    else:
        assert (found.dtype, found.zero_point) == ("int16", 0)
        assert found.scale == pytest.approx(1 / 32767, rel=1e-6)
    samples = load_data("digits:test", limit=5)
    codes = to_codes(samples, found, read_metadata(model))
    exact = samples.x - 128.0 if report.scheme == "int8" else samples.x / 255 * 32767
    assert np.abs(codes - exact).max() <= 0.5


def test_metadata_holds_the_normalisation_and_the_classes(digits: tuple[bytes, Report]) -> None:
    metadata = read_metadata(digits[0])
    assert metadata is not None
    assert metadata.normalization == Normalization((0.0,), (255.0,))
    assert metadata.class_names == tuple("0123456789")


def test_layers_are_sorted_worst_first_and_named(digits: tuple[bytes, Report]) -> None:
    model, report = digits
    ratios = [layer.sqnr_db for layer in report.layers]
    assert len(ratios) >= 8
    assert ratios == sorted(ratios)
    assert ratios[0] > (20 if report.scheme == "int8" else 30)
    assert {layer.name for layer in report.layers} <= set(LiteRTBackend(model).tensor_names.values())


def test_int8_weights_have_a_scale_per_channel(digits: tuple[bytes, Report]) -> None:
    model = LiteRTBackend(digits[0])
    assert sorted({len(scales) for scales, _ in model.quantization.values()}) == [1, 10, 16, 24, 32]


def test_the_command_writes_the_model_and_its_report(tmp_path: Path) -> None:
    output = tmp_path / "model.tflite"
    arguments = ["quantize", str(DIGITS), "-o", str(output), "--calibration", "digits", "--samples", "50"]
    done = CliRunner().invoke(group, [*arguments, "--evaluate", "digits", "--limit", "20", "--json"])
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert record == json.loads((tmp_path / "model.report.json").read_text())
    assert record["size_bytes"] == output.stat().st_size
    assert (record["accuracy"]["samples"], record["calibration_samples"]) == (20, 50)
    assert read_metadata(output).class_names == tuple("0123456789")  # type: ignore[union-attr]


@pytest.fixture
def torch_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small_network.py"
    path.write_text(TORCH_NETWORK)
    return path


def test_pytorch_through_onnx(torch_module: Path) -> None:
    before = set(os.listdir(torch_module.parent))
    model, report = quantize("small_network:network", pixels(20, 16, 12, 3))
    backend = LiteRTBackend(model)
    assert backend.inputs[0].shape == (1, 16, 12, 3)
    assert backend.outputs[0].shape == (1, 4)
    assert report.kind == "pytorch"
    assert report.conversion_error < 1e-5
    assert report.notes[0] == "input (3, 16, 12) (channels first) became (16, 12, 3) (channels last)"
    assert set(os.listdir(torch_module.parent)) - before <= {"__pycache__"}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("small_network", "is no network"),
        ("small_network:nothing", "could not be called"),
        ("small_network:number", "returned int, not a torch.nn.Module"),
        ("no_such_module:network", "could not be called"),
        ("none.keras", "none.keras is not there"),
        ("none.pt2", "none.pt2 is not there"),
        ("weights.pt", "weights alone name no network"),
        ("bad.onnx", "is no ONNX network"),
        ("bad.h5", "bad.h5"),
        ("bad.pt2", "no torch.export file"),
        ("bad.tflite", "is a .tflite already"),
        (".", "without saved_model.pb"),
    ],
)
def test_sources_that_are_refused(torch_module: Path, source: str, words: str) -> None:
    import torch

    folder = torch_module.parent
    torch.save({"weight": torch.zeros(3)}, folder / "weights.pt")
    for name in ("bad.onnx", "bad.h5", "bad.pt2", "bad.tflite"):
        (folder / name).write_bytes(b"not a network")
    with pytest.raises(TinyguardError, match=words) as caught:
        quantize(source, pixels(4, 16, 12, 3))
    assert "\n" not in str(caught.value)


def test_calibration_that_does_not_fit() -> None:
    with pytest.raises(TinyguardError, match=r"takes samples of \(8, 8, 1\) and random has \(9, 9, 1\)"):
        quantize(DIGITS, pixels(4, 9, 9, 1))
    with pytest.raises(TinyguardError, match="a float network cannot take"):
        quantize(DIGITS, Samples(np.zeros((4, 8, 8, 1), np.int8)))
    with pytest.raises(TinyguardError, match="no scheme int4"):
        quantize(DIGITS, pixels(4, 8, 8, 1), "int4")


def test_options_that_contradict(tmp_path: Path) -> None:
    arguments = ["quantize", str(DIGITS), "-o", str(tmp_path / "m.tflite"), "--calibration", "digits"]
    for extra, words in (
        (["--mean", "0.5", "--normalization", "unit"], "give one of them"),
        (["--mean", "half"], "is not a list of numbers"),
        (["--std", "0"], "std is above 0"),
        (["--mean", "1,2,3", "--std", "1,2"], "one per channel"),
    ):
        done = CliRunner().invoke(group, [*arguments, *extra])
        assert isinstance(done.exception, TinyguardError)
        assert words in str(done.exception)


def test_labels_beyond_the_outputs_are_refused() -> None:
    evaluation = Samples(np.zeros((2, 8, 8, 1), np.uint8), np.array([3, 10]), name="mine")
    with pytest.raises(TinyguardError, match=r"mine has label 10 and model\.keras has 10 outputs"):
        quantize(DIGITS, pixels(4, 8, 8, 1), evaluation=evaluation)


def test_an_operator_the_scheme_lacks(tmp_path: Path) -> None:
    from tensorflow import keras

    inputs = keras.Input((8, 8, 1))
    x = keras.layers.PReLU(shared_axes=[1, 2])(keras.layers.Conv2D(4, 3)(inputs))
    keras.Model(inputs, x).save(tmp_path / "network.keras")
    with pytest.raises(
        TinyguardError, match=r"converting network\.keras to int16x8 \.tflite failed: .*PRELU"
    ):
        quantize(tmp_path / "network.keras", pixels(4, 8, 8, 1), "int16x8")


def test_a_converter_that_changes_the_network_is_caught() -> None:
    source = load_source(str(DIGITS), np.zeros((1, 8, 8, 1), np.float32))
    wrong = replace(source, forward=lambda x: (np.roll(np.asarray(source.forward(x)[0]), 1, axis=1),))
    with pytest.raises(TinyguardError, match=r"the converter changed what model\.keras computes"):
        quantize(wrong, load_data("digits:train", limit=20))
