# SPDX-License-Identifier: Apache-2.0
"""Networks with several outputs, and with one probability, through the commands."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.device.host_board import HostBoard, compile_network_board
from tests.operators.builder import GraphBuilder
from tinyguard.cli import group
from tinyguard.data import load_data
from tinyguard.graph import Graph
from tinyguard.graph.answer import class_count, output_name
from tinyguard.tflite import Metadata, read_graph, read_metadata, with_metadata, write_graph

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
REFUSED = "the network has 2 outputs, and nothing says which is the answer: 0 '"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, list(arguments))


def one_line(result: Result) -> str:
    """The error of a refused command, which must be one line."""
    assert result.exit_code == 1, result.output
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        assert "\n" not in str(result.exception)
        return str(result.exception)
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits with an early tensor as output 0 and the scores as output 1."""
    graph = read_graph(DIGITS)
    path = tmp_path_factory.mktemp("two") / "two.tflite"
    path.write_bytes(write_graph(replace(graph, outputs=(graph.nodes[5].outputs[0], graph.outputs[0]))))
    return path


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "unlabelled.npz"
    np.savez(path, x=load_data("digits:test").x[:50])
    return str(path)


@pytest.fixture(scope="module")
def board(two: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_network_board(read_graph(two), tmp_path_factory.mktemp("board"))


@pytest.mark.parametrize(
    "command",
    [
        ("eval", "{}", "--data", "digits:test"),
        ("attack", "{}", "--data", "digits:test", "--attack", "pgd", "--eps", "2codes"),
        ("harden", "train", "{}", "--recipe", "int8-at", "--data", "digits:train", "-o", "{}.out.tflite"),
        ("harden", "stochastic", "{}", "-o", "{}.out.tflite"),
        ("harden", "squeeze", "{}", "--squeezer", "median", "--threshold", "9", "-o", "{}.out.tflite"),
    ],
)
def test_a_command_that_needs_a_meaning_is_refused(command: Sequence[str], two: Path) -> None:
    said = one_line(run(*(part.format(two) for part in command)))
    assert "2 outputs" in said
    assert "--output NAME|N" in said
    for index in read_graph(two).outputs:
        assert output_name(read_graph(two), index) in said
    assert not Path(f"{two}.out.tflite").exists()


def test_a_board_is_refused_as_the_host_is(two: Path, board: Path) -> None:
    with HostBoard(board) as running:
        assert REFUSED in one_line(run("eval", str(two), "--data", "digits:test", "--serial", running.port))
        done = run(
            "eval", str(two), "--data", "digits:test", "--serial", running.port, "--output", "1",
            "--limit", "60", "--json",
        )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["accuracy"] == found["host_accuracy"] > 0.95
    assert found["agreement"]["differing_bytes"] == 0


@pytest.mark.parametrize("backend", ["simulator", "compiled", "litert"])
def test_the_named_output_is_judged(two: Path, backend: str) -> None:
    name = read_graph(two).tensors[read_graph(two).outputs[1]].name
    for output in ("1", name):
        done = run(
            "eval", str(two), "--data", "digits:test", "--output", output, "--backend", backend, "--json"
        )
        found = json.loads(done.stdout)
        assert (found["accuracy"], found["output"]) == (pytest.approx(354 / 360), name)
    assert "from which no class follows" in one_line(
        run("eval", str(two), "--data", "digits:test", "--output", "0")
    )
    assert "no output '2'" in one_line(run("eval", str(two), "--data", "digits:test", "--output", "2"))


def test_without_labels_every_byte_is_compared(two: Path, unlabelled: str) -> None:
    done = run("eval", str(two), "--data", unlabelled, "--backend", "compiled", "--json")
    found = json.loads(done.stdout)
    assert (found["accuracy"], found["agreement"]["differing_bytes"]) == (None, 0)
    assert found["agreement"]["differing_predictions"] is None
    shown = run("eval", str(two), "--data", unlabelled).stdout
    assert "none: the data have no labels" in shown
    assert "differing predictions" not in shown


def test_an_attack_on_the_named_output_is_that_on_the_network(two: Path) -> None:
    options = ("--data", "digits:test", "--attack", "pgd", "--eps", "16codes", "--limit", "40", "--json")
    alone, named = run("attack", str(DIGITS), *options), run("attack", str(two), *options, "--output", "1")
    keys = ("clean_accuracy", "accuracy_under_attack", "successes", "distortion")
    assert [json.loads(named.stdout)[key] for key in keys] == [json.loads(alone.stdout)[key] for key in keys]
    graph = read_graph(two)
    assert json.loads(named.stdout)["output"] == graph.tensors[graph.outputs[1]].name
    assert "output" not in json.loads(alone.stdout)


@pytest.mark.parametrize(
    "options", [("stochastic", "--seed", "3"), ("squeeze", "--squeezer", "median", "--threshold", "200")]
)
def test_hardened_files_have_the_named_output_alone(
    options: Sequence[str], two: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.tflite"
    done = run("harden", options[0], str(two), *options[1:], "--output", "1", "-o", str(out))
    assert done.exit_code == 0, done.output
    assert f"output 1 is the only one of {out}" in " ".join(done.output.split())
    graph = read_graph(out)
    assert (len(graph.outputs), class_count(graph)) == (2, 10)


def test_the_integer_network_is_trained_for_the_named_output(two: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tflite"
    done = run(
        "harden", "train", str(two), "--recipe", "int8-at", "--data", "digits:train", "--limit", "200",
        "--epochs", "1", "--batch", "50", "--output", "1", "-o", str(out),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "trained for output 1, which the file has alone" in " ".join(done.stdout.split())
    graph = read_graph(out)
    assert [graph.tensors[index].shape for index in graph.outputs] == [(1, 10)]
    assert json.loads(run("eval", str(out), "--data", "digits:test", "--json").stdout)["accuracy"] > 0.9


def test_what_the_record_states_needs_no_option(two: Path, tmp_path: Path) -> None:
    path = tmp_path / "said.tflite"
    metadata = (read_metadata(two) or Metadata()).with_section("outputs", ("values", "scores"))
    path.write_bytes(with_metadata(two.read_bytes(), metadata))
    done = run("eval", str(path), "--data", "digits:test", "--json")
    assert json.loads(done.stdout)["accuracy"] == pytest.approx(354 / 360)


@pytest.fixture(scope="module")
def sigmoid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The probability that a digit's upper half is brighter than its lower."""
    builder = GraphBuilder()
    image = builder.input((1, 8, 8, 1), "int8", 1 / 255, -128)
    flat = builder.node("RESHAPE", [image, builder.constant(np.array([1, 64]))], (1, 64), "int8")
    weights = np.repeat(np.array([127, -127], np.int8), 32)[None]
    bias = builder.constant(np.zeros(1, np.int32), scale=0.01 / 255)
    operands = [flat, builder.constant(weights, scale=0.01), bias]
    sums = builder.node("FULLY_CONNECTED", operands, (1, 1), "int8", 0.1, 0)
    builder.node("LOGISTIC", [sums], (1, 1), "int8", 1 / 256, -128)
    path = tmp_path_factory.mktemp("sigmoid") / "sigmoid.tflite"
    path.write_bytes(write_graph(builder.graph()))
    return path


@pytest.fixture(scope="module")
def halves(sigmoid: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Codes, labelled by the halves' sums; one in ten the other way."""
    pixels = load_data("digits:test").x[:200]
    upper = pixels[:, :4].astype(int).sum(axis=(1, 2, 3)) > pixels[:, 4:].astype(int).sum(axis=(1, 2, 3))
    labels = upper ^ (np.arange(200) % 10 == 0)
    path = tmp_path_factory.mktemp("halves") / "halves.npz"
    np.savez(path, x=(pixels.astype(int) - 128).astype(np.int8), y=labels.astype(np.int64))
    return str(path)


def test_one_probability_is_two_classes_everywhere(sigmoid: Path, halves: str, tmp_path: Path) -> None:
    graph: Graph = read_graph(sigmoid)
    found = json.loads(run("eval", str(sigmoid), "--data", halves, "--json").stdout)
    assert 0.85 < found["accuracy"] < 0.95
    with HostBoard(compile_network_board(graph, tmp_path)) as running:
        done = run("eval", str(sigmoid), "--data", halves, "--serial", running.port, "--json")
    on_board = json.loads(done.stdout)
    assert on_board["accuracy"] == found["accuracy"] == on_board["host_accuracy"]
    assert on_board["agreement"]["differing_bytes"] == 0

    for attack in (("pgd", "--steps", "10"), ("square", "--queries", "60"), ("deepfool",)):
        stored = tmp_path / f"{attack[0]}.npz"
        eps = () if attack[0] == "deepfool" else ("--eps", "12codes")
        done = run(
            "attack", str(sigmoid), "--data", halves, "--attack", *attack, *eps, "--json", "-o", str(stored)
        )
        result = json.loads(done.stdout)
        assert result["clean_accuracy"] == found["accuracy"]
        assert result["successes"] > 0
        again = json.loads(
            run("attack", str(sigmoid), "--replay", str(stored), "--backend", "compiled", "--json").stdout
        )
        assert again["survived"] == again["successes"] == result["successes"]
        assert again["accuracy"] == pytest.approx(result["accuracy_under_attack"])


@pytest.mark.parametrize("kind", ["stochastic", "two", "sigmoid"])
def test_attenuation_and_checks_read_the_answer(
    kind: str, two: Path, sigmoid: Path, halves: str, tmp_path: Path
) -> None:
    model, data, options = two, "digits:test", ("--output", "1")
    if kind == "sigmoid":
        model, data, options = sigmoid, halves, ()
    if kind == "stochastic":
        model, options = tmp_path / "masks.tflite", ()
        run("harden", "stochastic", str(DIGITS), "--seed", "3", "--passes", "3", "-o", str(model))
    source = tmp_path / "net.py"
    source.write_text(SOURCE)
    name = {"sigmoid": "probability", "two": "several"}.get(kind, "scores")
    common = (str(model), "--data", data, "--limit", "20", *options, "--source", f"{source}:{name}")
    done = run("attack", *common, "--measure", "attenuation", "--steps", "2", "--json")
    assert done.exit_code == 0 or "get no sample right" in one_line(done), done.output
    done = run("attack", *common, "--attack", "pgd", "--eps", "12codes", "--steps", "3", "--check", "--json")
    assert done.exit_code == 0, done.output
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["repeatable"]["passed"]


SOURCE = """
import torch
from torch import nn


class Halves(nn.Module):
    def forward(self, x):
        return torch.sigmoid((x[:, :, :4].sum((1, 2, 3)) - x[:, :, 4:].sum((1, 2, 3)))[:, None])


class Digits(nn.Module):
    def __init__(self, several):
        super().__init__()
        torch.manual_seed(0)
        self.several, self.layer = several, nn.Linear(64, 10)

    def forward(self, x):
        scores = self.layer(x.flatten(1)).softmax(1)
        return (x, scores) if self.several else scores


def probability(): return Halves()
def several(): return Digits(True)
def scores(): return Digits(False)
"""
