# SPDX-License-Identifier: Apache-2.0
"""`tinyguard harden train` as a person types it: files, records, and one clear line for bad input."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from tests.training.networks import DIGITS, DIGITS_KERAS, digits, small_network
from tinyguard.cli._harden_train import command
from tinyguard.errors import TinyguardError
from tinyguard.sources.torch_files import open_torch
from tinyguard.tflite.reader import read_graph

QUICK = (
    "--data", "digits", "--limit", "300", "--eps", "0.15", "--epochs", "1", "--warm-up", "1",
    "--images", "128", "--threads", "1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    small_network(tmp_path)


def _train(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def _refused(*arguments: str) -> str:
    with pytest.raises(TinyguardError) as error:
        _train(*arguments)
    line = str(error.value)
    assert "\n" not in line
    return line


def test_pytorch_weights_and_their_record() -> None:
    result = _train("small.py:network", "--recipe", "pgd-at", "-o", "out.npz", *QUICK)
    assert result.exit_code == 0, result.output
    assert "epoch 2 pgd-at" in result.stderr
    assert "wrote out.npz and out.training.json" in result.stdout
    record = json.loads(Path("out.training.json").read_text())
    assert record["settings"]["eps"] == 0.15
    assert record["threads"] == 1
    assert [epoch["phase"] for epoch in record["epochs"]] == ["fast", "pgd-at"]
    with np.load("out.npz") as arrays:
        names = set(arrays.files)
    assert names == set(open_torch("small.py:network").state_dict())
    network = open_torch("small.py:network:out.npz")
    assert not torch.equal(
        network.state_dict()["0.weight"], open_torch("small.py:network").state_dict()["0.weight"]
    )


def test_json_is_the_record_and_nothing_else() -> None:
    result = _train("small.py:network", "--recipe", "fast", "-o", "out.npz", *QUICK, "--json")
    assert json.loads(result.stdout) == json.loads(Path("out.training.json").read_text())


def test_an_integer_network_becomes_an_integer_network() -> None:
    result = _train(str(DIGITS), "--recipe", "int8-at", "-o", "out.tflite", *QUICK, "--validation", "40")
    assert result.exit_code == 0, result.output
    before, after = read_graph(DIGITS), read_graph(Path("out.tflite"))
    assert [node.operator for node in before.nodes] == [node.operator for node in after.nodes]
    assert json.loads(Path("out.training.json").read_text())["validation_samples"] == 40


def test_other_weights_of_a_network_inside_another_are_found() -> None:
    source = "small.py:network"
    inner = open_torch(source)[:-1]
    assert isinstance(inner, torch.nn.Module)
    np.savez("inner.npz", **{name: value.numpy() + 1 for name, value in inner.state_dict().items()})
    loaded = open_torch(f"{source}:inner.npz")
    torch.testing.assert_close(loaded[0].weight, inner[0].weight + 1)
    around = torch.nn.Sequential(open_torch(source)).state_dict()
    np.savez("around.npz", **{name: value.numpy() + 2 for name, value in around.items()})
    torch.testing.assert_close(open_torch(f"{source}:around.npz")[0].weight, inner[0].weight + 2)


@pytest.mark.slow
def test_a_keras_network_becomes_one_that_any_backend_of_keras_loads() -> None:
    script = "import sys; from tinyguard.cli._harden_train import command; command(sys.argv[1:])"
    arguments = [
        str(DIGITS_KERAS),
        "--recipe",
        "fast",
        "-o",
        "out.keras",
        "--data",
        "digits",
        "--eps",
        "0.05",
    ]
    arguments += ["--epochs", "3", "--batch", "32", "--average", "0.9", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    from tensorflow import keras

    model, before = keras.models.load_model("out.keras"), keras.models.load_model(DIGITS_KERAS)
    test = digits("test")
    outputs = model.predict(test.x / np.float32(255), verbose=0)
    np.testing.assert_allclose(outputs.sum(1), 1, rtol=1e-4)
    assert (outputs.argmax(1) == test.y).mean() > 0.8
    momenta = [[layer.momentum for layer in m.layers if hasattr(layer, "momentum")] for m in (before, model)]
    assert momenta[0] == momenta[1] != []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"--recipe": "pgd"}, "no recipe named 'pgd'; did you mean pgd-at?"),
        ({"source": "small.py:nothing"}, "small.py:nothing could not be called"),
        ({"source": "missing.keras"}, "source missing.keras is not there"),
        ({"source": "network.onnx"}, "source network.onnx is not there"),
        ({"source": "small.py:network:none.npz"}, "weights none.npz are not there"),
        ({"source": str(DIGITS), "-o": "x.tflite"}, "pgd-at trains a float network and .* --recipe int8-at"),
        ({"--recipe": "int8-at"}, "int8-at trains an integer network and small.py:network is a float one"),
        ({"--recipe": "int8-at", "source": "no.tflite", "-o": "x.tflite"}, "no.tflite"),
        ({"-o": "x.tflite"}, r"x.tflite: what small.py:network becomes is written as .npz"),
        ({"-o": "nowhere/x.npz"}, "folder nowhere is not there: type mkdir -p nowhere"),
        ({"--data": "missing.npz"}, "data missing.npz is not there"),
        ({"--data": "wide.npz"}, r"the network takes no samples of \(12, 12, 1\)"),
        ({"--data": "real.npz"}, "real.npz holds float32, and training takes uint8 pixels"),
        ({"--data": "unlabelled.npz"}, "unlabelled.npz has no labels"),
        (
            {"--data": "labels.npz"},
            "labels.npz: label 10 of sample 3 is not one of the network's classes 0 to 9",
        ),
        ({"--data": "few.npz"}, "few.npz has 3 samples, and 0 cannot be held out"),
        ({"--validation": "digits:test"}, "--validation digits:test would choose the network by its test"),
        ({"--validation": "wide.npz"}, r"wide.npz: samples have shape \(12, 12, 1\)"),
        ({"--validation": "300"}, "300 cannot be held out"),
        ({"--eps": "2"}, "--eps 2 is no fraction of the pixel range"),
        ({"--eps": "8/0"}, "--eps 8/0 is no fraction"),
        ({"--auxiliary": "small.py:network"}, "--auxiliary is for ensemble-at, and the recipe is pgd-at"),
        ({"--batch": "4000"}, "270 samples are fewer than a batch of 4000"),
        ({"--clean": "0.5", "--recipe": "trades"}, "--clean says nothing to trades"),
        ({"--warm-up": "0", "--epochs": "0"}, "no epochs"),
    ],
)
def test_bad_input_is_refused_in_one_line(changed: dict[str, Any], line: str) -> None:
    x, y = np.zeros((40, 8, 8, 1), np.uint8), np.arange(40) % 10
    np.savez("wide.npz", x=np.zeros((40, 12, 12, 1), np.uint8), y=y)
    np.savez("real.npz", x=x.astype(np.float32), y=y)
    np.savez("unlabelled.npz", x=x)
    np.savez("labels.npz", x=x, y=np.where(np.arange(40) == 3, 10, y))
    np.savez("few.npz", x=x[:3], y=y[:3])
    arguments = dict(zip(QUICK[::2], QUICK[1::2], strict=True))
    arguments |= {"--recipe": "pgd-at", "-o": "x.npz", "source": "small.py:network"} | changed
    source = arguments.pop("source")
    assert re.search(line, _refused(source, *(word for pair in arguments.items() for word in pair)))
