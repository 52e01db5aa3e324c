# SPDX-License-Identifier: Apache-2.0
"""`quantize --exits`: sources of every kind with several outputs, and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.exits.networks import three_exits
from tests.quantize import three_exits as networks
from tinyguard.cli import group
from tinyguard.data import Samples, load_data, to_codes
from tinyguard.errors import TinyguardError
from tinyguard.exits.measured import measure
from tinyguard.graph.answer import decide
from tinyguard.graph.exit_policy import Policy
from tinyguard.graph.multi_exit import exit_tensors, logits_tensors
from tinyguard.quantize import Source, quantize
from tinyguard.quantize.keras_source import keras_source
from tinyguard.quantize.source_exits import exit_places, never_leaving
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata
from tinyguard.tflite.record.exits import Exits

DEEPEST_FIRST, SHALLOWEST_FIRST = (2, 1, 0), (0, 1, 2)
MACS = (
    6 * 6 * 8 * 9 + 288 * 10,
    6 * 6 * 8 * 9 + 288 * 10 + 4 * 4 * 12 * 72 + 192 * 10,
    6 * 6 * 8 * 9 + 288 * 10 + 4 * 4 * 12 * 72 + 192 * 10 + 2 * 2 * 16 * 108 + 64 * 10,
)
MODULE = networks.__file__


@pytest.fixture(scope="module")
def network() -> networks.ThreeExits:
    digits = load_data("digits:train")
    assert digits.y is not None
    return networks.trained(_images(digits), digits.y)


@pytest.fixture(scope="module")
def probabilities(network: networks.ThreeExits) -> np.ndarray:
    """Those of the float exits on the held-out digits, shallowest first, float32 (3, N, 10)."""
    with torch.no_grad():
        exits = network(torch.from_numpy(_images(load_data("digits:test"))))
    return torch.stack(exits).numpy()


def _images(samples: Samples) -> np.ndarray:
    return np.ascontiguousarray((samples.x / np.float32(255)).transpose(0, 3, 1, 2))


def _keras(network: networks.ThreeExits, order: tuple[int, ...], folder: Path) -> str:
    networks.keras_twin(network, order).save(folder / "network.keras")
    return str(folder / "network.keras")


def _saved_model(network: networks.ThreeExits, order: tuple[int, ...], folder: Path) -> str:
    networks.keras_twin(network, order).export(folder / "saved", verbose=False)
    return str(folder / "saved")


def _pytorch(network: networks.ThreeExits, order: tuple[int, ...], folder: Path) -> str:
    networks.save(network, folder / "weights.npz")
    function = {DEEPEST_FIRST: "deepest_first", SHALLOWEST_FIRST: "shallowest_first"}[order]
    return f"{MODULE}:{function}:{folder / 'weights.npz'}"


def _onnx(network: networks.ThreeExits, order: tuple[int, ...], folder: Path) -> str:
    ordered = networks.ThreeExits(order).eval()
    ordered.load_state_dict(network.state_dict())
    torch.onnx.export(
        ordered, (torch.zeros(1, 1, 8, 8),), str(folder / "n.onnx"), dynamo=False, opset_version=17
    )
    return str(folder / "n.onnx")


Save = Callable[[networks.ThreeExits, tuple[int, ...], Path], str]


@pytest.mark.parametrize(
    ("save", "order"),
    [
        (_keras, DEEPEST_FIRST),
        (_pytorch, SHALLOWEST_FIRST),
        (_onnx, DEEPEST_FIRST),
        pytest.param(_keras, SHALLOWEST_FIRST, marks=pytest.mark.slow),
        pytest.param(_pytorch, DEEPEST_FIRST, marks=pytest.mark.slow),
        pytest.param(_onnx, SHALLOWEST_FIRST, marks=pytest.mark.slow),
        pytest.param(_saved_model, DEEPEST_FIRST, marks=pytest.mark.slow),
    ],
)
def test_every_source_gives_the_same_exits(
    save: Save,
    order: tuple[int, ...],
    network: networks.ThreeExits,
    probabilities: np.ndarray,
    tmp_path: Path,
) -> None:
    model = tmp_path / "m.tflite"
    arguments = ["quantize", save(network, order, tmp_path), "-o", str(model), "--exits", "auto"]
    arguments += ["--calibration", "digits:train", "--samples", "100", "--evaluate", "digits:test", "--json"]
    result = CliRunner().invoke(group, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    exits, graph = record["exits"], read_graph(model)
    section = read_metadata(model).exits  # type: ignore[union-attr]
    if save is not _saved_model:  # whose file keeps no order of outputs
        assert section == Exits(tuple(order.index(depth) for depth in range(3)), Policy("never"))
    assert [each["output"] for each in exits] == list(section.outputs)  # type: ignore[union-attr]
    assert [each["macs"] for each in exits] == list(MACS)
    scales = [tensor.scale for tensor in logits_tensors(graph)]
    assert [each["logits_scale"] for each in exits] == pytest.approx(scales)
    held_out = load_data("digits:test")
    codes = to_codes(held_out, graph.tensors[graph.inputs[0]], read_metadata(model))
    measured = measure(graph, codes)
    found = (measured.scores.transpose(1, 0, 2) + 128.0) / 256
    apart = np.abs(found[:, None] - probabilities).mean((2, 3))
    assert apart.argmin(1).tolist() == [0, 1, 2]
    labels = measured.label.T
    for each, named, wanted in zip(exits, labels, probabilities.argmax(2), strict=True):
        assert np.mean(named == wanted) >= 0.98
        accuracy = each["accuracy"]
        assert accuracy == record["outputs"][each["output"]]["accuracy"]
        assert accuracy["same_prediction"] == pytest.approx(np.mean(named == wanted))
        assert accuracy["quantized_network"] == pytest.approx(np.mean(named == held_out.y))
        assert accuracy["float_network"] == pytest.approx(np.mean(wanted == held_out.y))
    np.testing.assert_array_equal(decide(graph, Simulator(graph).run(codes)).label, labels[-1])


def heads(values: int = 3) -> Source:
    """Real values (6,) to `position`, to the deep and to the shallow of two softmaxes of four classes."""
    from tensorflow import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    x = keras.Input((6,))
    y = layers.Dense(8, "relu")(x)
    z = layers.Dense(8, "relu")(y)
    outputs = [
        layers.Dense(values, name="position")(z),
        layers.Dense(4, "softmax", name="deep")(z),
        layers.Dense(4, "softmax", name="shallow")(y),
    ]
    return keras_source(keras.Model(x, outputs), "heads")


def samples(**given: np.ndarray) -> Samples:
    x = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    return Samples(x, given.get("y"), name="drawn", targets=given.get("targets"))


def test_the_named_outputs_become_exits_and_the_others_are_left_out() -> None:
    model, report = quantize(heads(), samples(), exits="deep, 2")
    assert [(each.output, each.name, each.macs) for each in report.exits] == [
        (1, "shallow", 48 + 32),
        (0, "deep", 48 + 32 + 64 + 32),
    ]
    assert [output.name for output in report.outputs] == ["deep", "shallow"]
    assert [tensor.name for tensor in exit_tensors(read_graph(model))] == ["shallow", "deep"]
    rows = [text for label, text in report.rows() if label in ("exit 1", "policy")]
    assert rows[0].startswith("output 1 shallow: 80 MACs, logits' scale 0.0")
    assert rows[1:] == ["never: the last exit answers; tinyguard exits sets another"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            "auto",
            r"^exits of heads have one number of elements, and output 0 'position' has 3, 1 'deep' has 4",
        ),
        ("0,deep", r"0 'position' has 3, 1 'deep' has 4: type --exits NAME\|N,NAME\|N to name those of one"),
        ("deep,1", r"^--exits deep,1 names output 1 'deep' twice"),
        ("deep", r"^--exits deep names one output, and exits are two or more"),
        ("deep,3", r"^no output '3'; the outputs are 0 'position' \(3,\), 1 'deep' \(4,\), 2 'shallow'"),
        ("deep,", r"^no output ''; the outputs are"),
    ],
)
def test_outputs_that_are_no_exits_are_refused(wanted: str, words: str) -> None:
    with pytest.raises(TinyguardError, match=words):
        exit_places(heads(), wanted, samples().x)


def test_one_output_is_no_exit() -> None:
    from tensorflow import keras

    x = keras.Input((6,))
    alone = keras_source(keras.Model(x, keras.layers.Dense(4, "softmax")(x)), "alone")
    with pytest.raises(
        TinyguardError, match=r"^alone has one output, and exits are two or more: leave --exi"
    ):
        quantize(alone, samples(), exits="auto")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"scheme": "int16x8"}, "--exits with --scheme int16x8: exits take an int8 network"),
        ({"output": "deep"}, "--output deep with --exits: .* leave one of the two out"),
        ({"roles": {"0": "values"}}, "--role with --exits"),
        ({"evaluation": samples(targets=np.zeros((30, 4)))}, "drawn has real y and exits name classes: save"),
    ],
)
def test_options_that_exits_exclude(given: dict, words: str) -> None:
    with pytest.raises(TinyguardError, match=words):
        quantize("nothing.keras", samples(), exits="auto", **given)


def test_an_output_that_is_no_softmax_leaves_no_file(tmp_path: Path) -> None:
    from tensorflow import keras

    x = keras.Input((6,))
    y = keras.layers.Dense(8, "relu")(x)
    outputs = [keras.layers.Dense(4, "softmax")(x), keras.layers.Dense(4, name="bare")(y)]
    keras.Model(x, outputs).save(tmp_path / "n.keras")
    np.savez(tmp_path / "data.npz", x=samples().x)
    arguments = ["quantize", str(tmp_path / "n.keras"), "-o", str(tmp_path / "m.tflite"), "--exits", "auto"]
    result = CliRunner().invoke(group, [*arguments, "--calibration", str(tmp_path / "data.npz")])
    assert result.exit_code == 1
    assert "exit 'bare' is no int8 softmax" in str(result.exception)
    assert "\n" not in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.npz", "n.keras"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_exits_are_ordered_by_what_they_need(order: tuple[int, ...]) -> None:
    exits = never_leaving(three_exits(order=order))
    assert exits == Exits(tuple(order.index(depth) for depth in range(3)), Policy("never"))


def test_exits_of_equal_cost_are_no_chain() -> None:
    graph = three_exits()
    twice = replace(graph, outputs=(graph.outputs[0], graph.outputs[0]))
    with pytest.raises(TinyguardError, match=r"does not go on from exit 1 .*; leave one of them out$"):
        never_leaving(twice)
