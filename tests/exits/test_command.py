# SPDX-License-Identifier: Apache-2.0
"""`tinyguard exits`: what it shows, sets and finds, and one line for what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.exits.networks import POLICIES, codes, exits_file, plain_file
from tinyguard.cli import group
from tinyguard.exits.measured import measure
from tinyguard.exits.stage_costs import costs_in_macs
from tinyguard.exits.thresholds import cheapest_within, trial
from tinyguard.exits.with_exits import exits_in, with_exits
from tinyguard.graph.exit_policy import Policy
from tinyguard.measure.bench import Bench, StageCount
from tinyguard.tflite import read_graph

X = codes(90)
LAST = measure(read_graph(exits_file()), X).label[:, 2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(exits_file())
    return path


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Labelled as the last exit has it, but for every tenth."""
    path = tmp_path / "samples.npz"
    np.savez(path, x=X, y=(LAST + (np.arange(len(X)) % 10 == 0)) % 10)
    return str(path)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, ["exits", *map(str, arguments)])


def found(*arguments: object) -> dict:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_exits_are_shown(model: Path) -> None:
    said = found(model)
    assert [(row["exit"], row["first_layer"], row["last_layer"]) for row in said["exits"]] == [
        (1, 0, 3), (2, 4, 7), (3, 8, 11),
    ]  # fmt: skip
    assert tuple(row["cost"] for row in said["exits"]) == costs_in_macs(read_graph(model)).up_to
    assert (said["unit"], said["policy"], said["thresholds"], said["answer"], said["chosen"]) == (
        "MACs", "confidence", [90, 80], "taken", None,
    )  # fmt: skip
    text = run(model).stdout
    for words in ("MACs up to it", "8 to 11", "100.0 %", "policy  confidence 90,80", "the exit taken"):
        assert words in text


def test_a_policy_is_set_and_all_else_kept(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tflite"
    said = found(model, "--policy", "margin", "--thresholds", "20,12", "--answer", "mean", "-o", out)
    assert (said["policy"], said["thresholds"], said["answer"]) == ("margin", [20, 12], "mean")
    assert out.read_bytes() == with_exits(exits_file(POLICIES[2]), exits_in(exits_file(POLICIES[2], "mean")))
    assert found(out, "--answer", "taken", "-o", out)["policy"] == "margin"
    assert out.read_bytes() == exits_file(POLICIES[2])
    assert found(out, "--policy", "never", "-o", out)["thresholds"] == []
    assert f"wrote {out}: no exits, 3 outputs" in run(out, "--remove", "-o", out).stdout
    assert out.read_bytes() == with_exits(plain_file(), None)


def test_thresholds_are_found_on_the_samples_named(model: Path, data: str, tmp_path: Path) -> None:
    out, graph = tmp_path / "out.tflite", read_graph(model)
    labels = np.load(data)["y"]
    part = slice(30, 80)
    tried = trial(measure(graph, X[part]), labels[part], costs_in_macs(graph))
    options = ("--data", data, "--skip", 30, "--limit", 50)
    said = found(model, *options, "--within", "10", "--policy", "margin", "-o", out)
    expected = cheapest_within(tried, "margin", 10)
    assert exits_in(out.read_bytes()).policy == expected.policy
    chosen = said["chosen"]
    assert (chosen["data"], chosen["first_sample"], chosen["samples"]) == (data, 30, 50)
    assert (chosen["within_points"], chosen["unit"]) == (10, "MACs")
    assert chosen["accuracy"] == expected.accuracy >= chosen["last_exit_accuracy"] - 0.1
    assert chosen["mean_cost"] == pytest.approx(expected.mean_cost)
    assert sum(place["share"] for place in chosen["exits"]) == 1
    text = " ".join(run(model, *options, "--within", "10").stdout.split())
    assert f"thresholds chosen on {data}, samples 30 to 79: judge them on others" in text
    assert "policy confidence" in text  # the file's kind, where none is named
    assert "written nowhere: type -o OUT.tflite" in text


def test_a_budget_holds_and_a_curve_is_drawn(model: Path, data: str, tmp_path: Path) -> None:
    options = (model, "--data", data, "--curve", tmp_path / "curve")
    chosen = found(*options, "--budget", "60%")["chosen"]
    assert chosen["budget"] == 0.6
    assert chosen["saving"] >= 0.4 - 1e-9
    table, picture = (Path(path) for path in chosen["curve"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(table.open()))
    assert {row["samples"] for row in rows} == {f"{data}, samples 0 to 89"}
    measured = found(*options)["chosen"]
    assert "measured on" in run(*options).stdout
    assert {"budget", "within_points"}.isdisjoint(measured)


def _bench_record(counts: tuple[int, ...], path: Path) -> Path:
    stages = tuple(StageCount(f"exit {number}", count, 1, 4) for number, count in enumerate(counts, start=1))
    run = Bench("mps2-an500", "builtin", "balanced", "instructions", 7, (), 1, 1, 1, 1, {}, stages, 1)
    path.write_text(json.dumps(run.as_dict()))
    return path


def test_costs_are_those_that_a_board_counted(model: Path, data: str, tmp_path: Path) -> None:
    record = _bench_record((900, 90, 10), tmp_path / "run.json")
    said = found(model, "--bench", record, "--data", data, "--within", "0")
    assert [row["cost"] for row in said["exits"]] == [900, 990, 1000]
    assert said["unit"] == said["chosen"]["unit"] == "instructions"
    assert 900 <= said["chosen"]["mean_cost"] <= 1000
    assert "instructions up to it" in run(model, "--bench", record).stdout
    refused = run(model, "--bench", _bench_record((900, 90), tmp_path / "other.json"))
    assert "a run of 2 stages and the network has 3: measure it again with tinyguard bench" in str(
        refused.exception
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--policy", "margin", "--thresholds", "20,300"), "takes thresholds from 0 to 256 and got 300"),
        (("--policy", "margin", "--thresholds", "20,x"), "are no whole numbers"),
        (("--policy", "margin", "--thresholds", "20"), "takes 2 thresholds and got 1"),
        (("--policy", "patience", "--thresholds", "4"), "takes thresholds from 1 to 3 and got 4"),
        (("--data", "{data}", "--budget", "60"), "no percentage up to 100: type --budget 60%"),
        (("--data", "{data}", "--budget", "1%"), "the cheapest takes 21.1 %; type a larger --budget"),
        (("--data", "{data}", "--within", "1", "--policy", "never"), "no thresholds to find"),
        (("--data", "{data}", "--within", "1", "--policy", "margn"), "no exit policy named 'margn'; did you"),
        (("--data", "{data}", "--within", "1", "--skip", "90"), "has 90 samples: none are left after the"),
        (("--data", "nowhere.npz", "--within", "1"), "data nowhere.npz is not there"),
        (("--data", "{data}", "--within", "1", "--bench", "nowhere.json"), "cannot read nowhere.json"),
        (("--data", "{data}", "--curve", "{data}/none/curve", "--within", "1"), "no folder"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_nothing_changes(
    arguments: tuple[str, ...], words: str, model: Path, data: str
) -> None:
    before = model.read_bytes()
    refused = run(model, *(part.format(data=data) for part in arguments), "-o", model)
    assert refused.exit_code == 1
    assert words in str(refused.exception)
    assert "\n" not in str(refused.exception)
    assert model.read_bytes() == before


def test_a_file_without_exits_and_data_without_labels_are_refused(tmp_path: Path, model: Path) -> None:
    plain, out, unlabelled = (tmp_path / name for name in ("plain.tflite", "out.tflite", "x.npz"))
    plain.write_bytes(plain_file())
    np.savez(unlabelled, x=X)
    for arguments in ((plain,), (plain, "--policy", "never", "-o", out), (plain, "--remove", "-o", out)):
        refused = run(*arguments)
        assert f"{plain}: the network has no exits: type tinyguard quantize" in str(refused.exception)
    refused = run(model, "--data", unlabelled, "--within", "1", "-o", out)
    assert "has no labels to find thresholds by: save y beside x" in str(refused.exception)
    refused = run(model, "--policy", "never", "-o", tmp_path / "none" / "out.tflite")
    assert "type mkdir -p" in str(refused.exception)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--policy", "never"), "name the file to write: -o OUT.tflite"),
        (("--remove",), "name the file to write"),
        (("-o", "out.tflite"), "nothing to write"),
        (("--thresholds", "1,2", "-o", "out.tflite"), "--thresholds goes with --policy"),
        (("--remove", "--policy", "never", "-o", "out.tflite"), "nothing else can be said of them"),
        (("--within", "1"), "go with --data DATA"),
        (("--skip", "5"), "go with --data DATA"),
        (("--data", "d", "-o", "out.tflite"), "say what to find on --data"),
        (("--data", "d", "--curve", "c", "--policy", "margin"), "--policy with --data says what to find"),
        (("--data", "d", "--curve", "c", "-o", "out.tflite"), "nothing to write"),
        (("--data", "d", "--within", "1", "--budget", "50%"), "name one of them"),
        (("--data", "d", "--within", "1", "--policy", "margin", "--thresholds", "1,2"), "give one of them"),
        (("--within", "-1", "--data", "d"), "--within"),
    ],
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...], words: str, model: Path) -> None:
    refused = run(model, *arguments)
    assert refused.exit_code == 2
    assert words in refused.output
    assert not Path("out.tflite").exists()


def test_the_default_kind_is_confidence_where_the_file_has_none(
    model: Path, data: str, tmp_path: Path
) -> None:
    model.write_bytes(exits_file(Policy("never")))
    assert found(model, "--data", data, "--within", "5")["policy"] == "confidence"
    model.write_bytes(exits_file(Policy("patience", (2,))))
    assert found(model, "--data", data, "--within", "5")["policy"] == "patience"
