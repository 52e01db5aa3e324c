# SPDX-License-Identifier: Apache-2.0
"""`eval` on a network with exits: the figures of each, and a policy for one run, on the host and a board."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.device.host_board import HostBoard, compile_network_board
from tests.exits.networks import POLICIES, codes, exits_file
from tinyguard.cli import group
from tinyguard.device.client import Device
from tinyguard.exits.measured import measure
from tinyguard.exits.stage_costs import costs_in_macs
from tinyguard.graph.exit_policy import Policy, policy_of
from tinyguard.tflite import read_graph

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
X = codes(60)
GRAPH = read_graph(exits_file())
MEASURED = measure(GRAPH, X)
LABELS = np.where(np.arange(len(X)) % 6, MEASURED.label[:, 2], (MEASURED.label[:, 2] + 1) % 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("eval")
    (made / "model.tflite").write_bytes(exits_file())
    np.savez(made / "samples.npz", x=X, y=LABELS)
    np.savez(made / "unlabelled.npz", x=X)
    return made


@pytest.fixture(scope="module")
def board(folder: Path) -> Iterator[HostBoard]:
    with HostBoard(compile_network_board(GRAPH, folder)) as running:
        yield running


def run(folder: Path, *arguments: str, data: str = "samples") -> Result:
    where = (str(folder / "model.tflite"), "--data", str(folder / f"{data}.npz"))
    return CliRunner().invoke(group, ["eval", *where, *arguments])


def found(folder: Path, *arguments: str) -> dict:
    done = run(folder, *arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def typed(policy: Policy) -> tuple[str, ...]:
    thresholds = ",".join(map(str, policy.thresholds))
    return ("--policy", policy.kind, *(("--thresholds", thresholds) if thresholds else ()))


def assert_figures(result: dict, policy: Policy) -> None:
    """Those of the exits, from what the host measured."""
    taken, said = MEASURED.taken(policy), MEASURED.label
    right = said[np.arange(len(X)), taken] == LABELS
    assert result["policy"]["value"] == {"kind": policy.kind, "thresholds": list(policy.thresholds)}
    assert result["agreement"] == {"differing_bytes": 0, "differing_predictions": 0}
    assert result["accuracy"] == result["host_accuracy"] == result["exits"]["accuracy"] == right.mean()
    assert result["exits"]["mean_exit"] == pytest.approx(taken.mean() + 1)
    for place, one in enumerate(result["exits"]["exits"]):
        here = taken == place
        assert one["share"] == here.mean()
        assert one["accuracy"] == (right[here].mean() if here.any() else None)
        assert one["anytime"] == (said[:, place] == LABELS).mean()
    costs = [one["cost"] for one in result["exits"]["exits"]]
    assert result["exits"]["mean_cost"] == pytest.approx(np.mean(np.array(costs)[taken]), rel=1e-9)
    assert result["exits"]["saving"] == pytest.approx(1 - result["exits"]["mean_cost"] / costs[-1])


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_the_host_runs_under_any_policy_and_the_file_stays(policy: Policy, folder: Path) -> None:
    result = found(folder, *typed(policy))
    assert_figures(result, policy)
    assert result["policy"]["file"] == {"kind": "confidence", "thresholds": [90, 80]}
    assert [one["cost"] for one in result["exits"]["exits"]] == list(costs_in_macs(GRAPH).up_to)
    assert result["exits"]["unit"] == "MACs"
    assert (folder / "model.tflite").read_bytes() == exits_file()


def test_one_exit_answers_alone(folder: Path) -> None:
    for number in (1, 2, 3):
        exits = found(folder, "--exit", str(number), "--backend", "reference")["exits"]
        assert [one["share"] for one in exits["exits"]] == [place == number - 1 for place in range(3)]
        assert exits["accuracy"] == exits["exits"][number - 1]["anytime"]


def test_the_policy_in_force_is_stated(folder: Path) -> None:
    shown = run(folder).stdout
    for words in (
        "policy                 confidence 90,80 (the file's)",
        *("MACs per inference", "right of all", "saved ", "mean exit", "efficacy", "MACs when leaving here"),
    ):
        assert words in shown
    assert "settings" not in shown
    assert "margin 20,12 (file: confidence 90,80)" in run(folder, *typed(POLICIES[2])).stdout
    unlabelled = run(folder, data="unlabelled")
    assert "none: the data have no labels" in unlabelled.stdout
    assert "66.67 %" in unlabelled.stdout
    options = ("--data", "digits:test", "--limit", "4", "--json")
    digits = CliRunner().invoke(group, ["eval", str(DIGITS), *options])
    assert {"exits", "policy"}.isdisjoint(json.loads(digits.stdout))


def test_a_board_has_the_policy_for_one_run_alone(folder: Path, board: HostBoard) -> None:
    where = ("--serial", board.port)
    for policy in (*POLICIES, POLICIES[1]):
        assert_figures(found(folder, *where, *typed(policy)), policy)
        with Device(board.port) as device:
            device.connect(GRAPH.sha256)
            device.declare(GRAPH.settings)
            assert device.tell("exit-policy").value == (1,)
            assert device.tell("exit-margin").value == (256, 256)
    assert_figures(found(folder, *where), POLICIES[1])


def test_what_set_gives_a_board_stays(folder: Path, board: HostBoard) -> None:
    where = ("--serial", board.port)
    given = ("--set", "exit-policy=2", "--set", "exit-margin=20,12")
    assert_figures(found(folder, *where, *given), POLICIES[2])
    assert_figures(found(folder, *where, "--exit", "3"), Policy("never"))
    assert_figures(found(folder, *where), POLICIES[2])
    assert_figures(found(folder, *where, "--set", "exit-policy=1"), POLICIES[1])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--exit", "4"), 1, "no exit 4: the network has exits 1 to 3: type --exit 3, or less"),
        (("--exit", "0"), 1, "no exit 0"),
        (("--policy", "confidence", "--thresholds", "90,257"), 1, "thresholds from 0 to 256 and got 257"),
        (("--policy", "confidence", "--thresholds", "90"), 1, "takes 2 thresholds and got 1"),
        (("--policy", "patience", "--thresholds", "4"), 1, "takes thresholds from 1 to 3 and got 4"),
        (("--policy", "margin", "--thresholds", "a,b"), 1, "are no whole numbers: type --thresholds 40,40"),
        (("--set", "exit-policy=9"), 1, "setting exit-policy takes 0 to 4 and got 9"),
        (
            ("--output", "2"),
            1,
            "--output 2 on a network with exits, which decide on the answer: type --exit N",
        ),
        (("--thresholds", "90,80"), 2, "--thresholds goes with --policy"),
        (("--exit", "1", "--policy", "never"), 2, "leave --policy and --thresholds out"),
        (("--exit", "1", "--set", "exit-policy=0"), 2, "set the same: give one of them"),
    ],
)
def test_what_cannot_be_is_refused_and_the_old_policy_stands(
    arguments: tuple[str, ...], code: int, words: str, folder: Path, board: HostBoard
) -> None:
    for where in ((), ("--serial", board.port)):
        refused = run(folder, *where, *arguments)
        assert refused.exit_code == code
        assert words in " ".join(f"{refused.output} {refused.exception}".split())
    with Device(board.port) as device:
        device.connect(GRAPH.sha256)
        device.declare(GRAPH.settings)
        policy = policy_of(GRAPH)
        assert policy is not None
        for name, value in policy.values().items():
            assert device.tell(name).value == value


@pytest.mark.parametrize("arguments", [("--policy", "never"), ("--exit", "1")])
def test_a_network_without_exits_is_refused(arguments: tuple[str, ...]) -> None:
    refused = CliRunner().invoke(group, ["eval", str(DIGITS), "--data", "digits:test", *arguments])
    assert "the network has no exits: type tinyguard quantize" in str(refused.exception)
