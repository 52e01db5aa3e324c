# SPDX-License-Identifier: Apache-2.0
"""`tinyguard inspect` on networks whose figures are known."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.exits.networks import exits_file
from tests.operators.builder import GraphBuilder
from tests.tflite.conftest import shared_models
from tests.tflite.test_reader import MLPERF
from tests.tflite.test_writer import convolution
from tinyguard.boards import load
from tinyguard.cli import group
from tinyguard.codegen import build_image, default_directory, predict
from tinyguard.tflite import Metadata, Normalization, read_graph, with_metadata, write_graph

RECORD = Metadata.of(normalization=Normalization((0.0,), (255.0,)), class_names=("cat", "[dog]"))


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.tflite"
    path.write_bytes(with_metadata(write_graph(convolution("int8")), RECORD))
    return path


def _inspect(*arguments: str) -> str:
    result = CliRunner().invoke(group, ["inspect", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _json(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_inspect(*arguments, "--json"))
    return found


def test_figures_of_a_network(model: Path) -> None:
    found = _json(str(model))
    graph = read_graph(model)
    assert found["operators"] == {"CONV_2D": 1}
    assert found["macs"] == 7 * 3 * 4 * 3 * 3 * 3
    assert found["parameters"] == 4 * 3 * 3 * 3 + 4
    assert found["weights_bytes"] == 4 * 3 * 3 * 3 + 4 * 4
    assert found["arena_bytes"] == predict(graph).arena_bytes
    assert found["unsupported"] == []
    assert found["sha256"] == graph.sha256
    assert found["normalization"] == {"mean": [0.0], "std": [255.0]}
    assert found["class_names"] == ["cat", "[dog]"]
    (source,) = found["inputs"]
    assert source["shape"] == [1, 7, 6, 3]
    assert (source["dtype"], source["zero_point"]) == ("int8", 5)
    assert "board" not in found


def test_figures_on_a_board_before_and_after_the_build(model: Path) -> None:
    board, graph = load("mps2-an500"), read_graph(model)
    sizes = predict(graph, board)
    found = _json(str(model), "--board", board.name)
    assert (found["constant_bytes"], found["ram_bytes"]) == (sizes.constant_bytes, sizes.ram_bytes)
    assert (found["flash_bytes"], found["fits"]) == (None, None)
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is missing")
    image = build_image(graph, board, default_directory(graph, board))
    found = _json(str(model), "--board", board.name)
    assert (found["flash_bytes"], found["fits"]) == (image.flash_bytes, True)
    assert found["ram_bytes"] == image.ram_bytes


def test_a_network_that_cannot_fit(tmp_path: Path) -> None:
    b = GraphBuilder()
    x = b.input((1, 64, 64, 16), "int8", 0.1, 0)
    b.node("ADD", (x, x), (1, 64, 64, 16), "int8", 0.1, 0, fused_activation_function="NONE")
    path = tmp_path / "large.tflite"
    path.write_bytes(write_graph(b.graph()))
    found = _json(str(path), "--board", "microbit")
    assert (found["fits"], found["flash_bytes"]) == (False, None)
    assert found["refusal"].startswith("does not fit microbit: ")
    assert "does not fit microbit" in _inspect(str(path), "--board", "microbit")


def test_everything_unsupported_is_listed(tmp_path: Path) -> None:
    b = GraphBuilder()
    x = b.input((1, 4), "int8", 0.1, 0)
    for operator in ("EXP", "COS"):
        x = b.node(operator, (x,), (1, 4))
    path = tmp_path / "odd.tflite"
    path.write_bytes(write_graph(b.graph()))
    found = _json(str(path), "--board", "mps2-an500")
    assert len(found["unsupported"]) == 2
    assert (found["macs"], found["arena_bytes"], found["ram_bytes"], found["fits"]) == (None,) * 4
    text = _inspect(str(path))
    assert "2 unsupported:" in text
    assert "EXP 'exp_1'" in text


def test_table(model: Path) -> None:
    text = _inspect(str(model), "--board", "mps2-an500")
    for words in ("CONV_2D", "1x7x3x4", "2,268", "real = (pixel - 0) / 255", "classes: cat, [dog]"):
        assert words in text


def test_stages_of_a_network_with_exits(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "exits.tflite"
    path.write_bytes(exits_file())
    found = _json(str(path))
    assert found["policy"] == "confidence 90,80"
    assert [tuple(stage.values()) for stage in found["stages"]] == [
        ("exit 1", 4, 17_664, 4_120), ("exit 2", 4, 28_672, 4_926), ("exit 3", 4, 37_376, 5_696),
    ]  # fmt: skip
    assert sum(stage["weights_bytes"] for stage in found["stages"]) == found["weights_bytes"]
    text = " ".join(_inspect(str(path)).split())
    assert "EXIT_GATE answer at exit 2 1x10 0 0 exit 2 28,672 4,926" in text
    assert "exits 3, policy confidence 90,80" in text
    without = _json(str(model))
    assert (without["stages"], without["policy"]) == ([], None)


def test_mlperf_macs() -> None:
    for name, (sha256, operators, macs) in MLPERF.items():
        path = shared_models() / name
        if not path.exists():
            pytest.skip(f"{path} is missing; set TINYGUARD_SHARED")
        found = _json(str(path))
        assert (found["sha256"], found["operators"], found["macs"]) == (sha256, operators, macs)
