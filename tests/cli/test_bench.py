# SPDX-License-Identifier: Apache-2.0
"""`tinyguard bench`: counts of layers that add up, the form of its JSON, and no board left running."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.exits.networks import exits_file
from tinyguard.boards import load
from tinyguard.cli import group
from tinyguard.cli._bench import bar, show
from tinyguard.cli._options import console
from tinyguard.codegen import predict
from tinyguard.device.client import Device
from tinyguard.errors import TinyguardError
from tinyguard.flashing import running
from tinyguard.graph.exit_policy import Policy
from tinyguard.measure.bench import Bench, LayerCount, StageCount, random_sample, read_run
from tinyguard.tflite import read_graph

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def _bench(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["bench", str(DIGITS), *arguments], catch_exceptions=False)


def _json(*arguments: str) -> dict[str, Any]:
    result = _bench(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.emulator
def test_layers_add_up_and_the_board_is_stopped(tmp_path: Path) -> None:
    found = _json("--board", "mps2-an385", "-o", "run.json")
    graph, board = read_graph(DIGITS), load("mps2-an385")
    assert running() == []
    assert (found["board"], found["kernels"], found["unit"]) == ("mps2-an385", "builtin", "instructions")
    assert [layer["operator"] for layer in found["layers"]] == [node.operator for node in graph.nodes]
    assert sum(layer["count"] for layer in found["layers"]) == pytest.approx(found["per_inference"], rel=0.01)
    sizes = predict(graph, board)
    assert found["predicted"] == {"constant_bytes": sizes.constant_bytes, "ram_bytes": sizes.ram_bytes}
    assert found["arena_bytes"] == sizes.arena_bytes
    assert 0 < found["inference_stack_bytes"] < found["stack_bytes"] < board.stack_bytes
    assert (
        found["flash_bytes"] == (next(tmp_path.glob(".tinyguard/build/*/build/firmware.bin"))).stat().st_size
    )
    assert json.loads((tmp_path / "run.json").read_text()) == found
    assert read_run(tmp_path / "run.json").as_dict() == json.loads((tmp_path / "run.json").read_text()) | {
        "layers": tuple(found["layers"]),
        "stages": (),
    }
    assert (found["stages"], found["exit"]) == ([], None)

    table = _bench("--board", "mps2-an385", "--optimize", "size", "--compare", "run.json").output
    assert f"{found['per_inference']:,}" in table
    assert "ratio" in table
    assert "1.00x" in table
    assert sorted(path.name.count("-size") for path in (tmp_path / ".tinyguard" / "build").iterdir()) == [
        0,
        1,
    ]


@pytest.mark.emulator
def test_the_board_is_stopped_when_measuring_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Device, *sample: object) -> list[int]:
        raise TinyguardError("the line is cut: plug it in")

    monkeypatch.setattr(Device, "count_layers", fail)
    with pytest.raises(TinyguardError, match="the line is cut"):
        _bench("--board", "mps2-an385")
    assert running() == []


@pytest.mark.emulator
def test_a_board_that_runs_already_is_measured_by_its_port() -> None:
    arguments = ["flash", str(DIGITS), "--board", "mps2-an385", "--json"]
    flashed = json.loads(CliRunner().invoke(group, arguments, catch_exceptions=False).stdout)
    try:
        found = _json("--board", "mps2-an385", "--serial", flashed["port"], "--data", "digits:test")
        assert found["flash_bytes"] == flashed["flash_bytes"]
        assert [one.port for one in running()] == [flashed["port"]]
        with pytest.raises(TinyguardError, match="give --board mps2-an385"):
            _bench("--board", "mps2-an386", "--serial", flashed["port"])
    finally:
        CliRunner().invoke(group, ["stop", flashed["port"]], catch_exceptions=False)


def test_hardware_has_to_be_flashed_first() -> None:
    with pytest.raises(TinyguardError, match=r"tinyguard flash MODEL --board nucleo-f746.*--serial"):
        _bench("--board", "nucleo-f746")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"layers": [{}]}', '{"layers": 3}', "null"])
def test_another_file_is_no_run(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(TinyguardError, match="is not a run of"):
        _bench("--board", "mps2-an385", "--compare", "run.json")
    with pytest.raises(TinyguardError, match=r"cannot read nowhere\.json"):
        _bench("--board", "mps2-an385", "--compare", "nowhere.json")


@pytest.mark.emulator
def test_stages_of_a_network_with_exits(tmp_path: Path) -> None:
    """Each with its gate, whatever the sample took, and what the sample took."""
    content = exits_file(Policy("margin", (256, 0)))  # exit 2, always
    (tmp_path / "exits.tflite").write_bytes(content)
    arguments = ["bench", "exits.tflite", "--board", "mps2-an386", "-o", "run.json"]
    printed = CliRunner().invoke(group, arguments, catch_exceptions=False).stdout
    run = read_run(tmp_path / "run.json")
    counts = [layer.count for layer in run.layers]
    assert run.exit == 2
    assert [(stage.name, stage.layers, stage.macs) for stage in run.stages] == [
        ("exit 1", 4, 17_664), ("exit 2", 4, 28_672), ("exit 3", 4, 37_376),
    ]  # fmt: skip
    assert [stage.count for stage in run.stages] == [sum(counts[i : i + 4]) for i in (0, 4, 8)]
    assert run.per_inference == pytest.approx(sum(counts[:8]), rel=0.01)
    lines = [re.split(r"\s{2,}", line.strip()) for line in printed.splitlines()]
    for stage in run.stages:
        assert [stage.name, f"{stage.macs:,}", f"{stage.count:,}"] in [line[:3] for line in lines]
    (last,) = (line for line in lines if line[0] == "per inference")
    assert last == [
        "per inference", f"{17_664 + 28_672:,}", f"{run.per_inference:,}",
        f"{run.per_inference / run.macs_per_inference:.2f}", "took exit 2",
    ]  # fmt: skip


def test_a_run_from_before_there_were_stages_is_read_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = (
        LayerCount("conv", "CONV_2D", "dsp", 100, 50),
        LayerCount("gate", "EXIT_GATE", "portable", 0, 5),
    )
    sizes = {"constant_bytes": 1, "ram_bytes": 2}
    rest = ("mps2-an386", "builtin", "balanced", "instructions")
    new = Bench(*rest, 55, layers, 10, 20, 30, 5, sizes, (StageCount("exit 1", 55, 100, 2),), 1)
    old = json.loads(json.dumps(new.as_dict()))
    del old["stages"], old["exit"]
    (tmp_path / "old.json").write_text(json.dumps(old))
    found = read_run(tmp_path / "old.json")
    assert found == replace(new, stages=(), exit=None)
    assert (found.macs_per_inference, new.macs_per_inference) == (100, 100)
    for run, other in ((new, found), (found, new)):
        show(run, other, console)
        text = capsys.readouterr().out
        starts = [line.split("  ")[0] for line in map(str.strip, text.splitlines())]
        assert starts.count("exit 1") == text.count("took exit 1") == (run is new)
        assert text.count("1.00x") == 3


def test_bars_are_in_eighths() -> None:
    assert [bar(share, 2) for share in (0, 1 / 16, 0.5, 11 / 16, 1, 7)] == ["", "▏", "█", "█▍", "██", "██"]


def test_random_samples_are_the_same_every_time() -> None:
    graph = read_graph(DIGITS)
    (first,), (second,) = random_sample(graph), random_sample(graph)
    assert first.shape == graph.tensors[graph.inputs[0]].shape[1:]
    assert (first == second).all()
    assert first.min() < -100
    assert first.max() > 100
