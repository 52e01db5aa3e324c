# SPDX-License-Identifier: Apache-2.0
"""What a toy package's section and setting say in the commands, against the plain network and NumPy alone."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.campaigns.studies import planned
from tests.plugin.conftest import DIGITS, TOY, marked
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.cli import group
from tinyguard.data.network_codes import read_codes
from tinyguard.defenses.feature_squeezing import distances
from tinyguard.defenses.input_filters import with_filters
from tinyguard.graph.answer import UNDECIDED
from tinyguard.robustness.scoring import score
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata
from tinyguard.tflite.record.filters import parse_filter
from tinyguard.tflite.record.squeezing import Squeezing

ABOVE = 100
PGD = ("--attack", "pgd", "--eps", "16/255", "--steps", "5")
SQUARE = ("--attack", "square", "--eps", "32/255", "--queries", "30")
NETWORKS = ("plain", "marked")
STUDY = """
data = "digits:test"
limit = 40
shard = 20
[[network]]
name = "plain"
model = "plain.tflite"
[[network]]
name = "marked"
model = "marked.tflite"
[[attack]]
attack = "pgd"
eps = ["16/255"]
steps = 5
[[attack]]
attack = "square"
eps = ["32/255"]
queries = 30
"""


@dataclass(frozen=True)
class Expected:
    """What the plain network's scores come to where those below `above` are marked."""

    label: np.ndarray
    marked: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, above: int, model: bytes | None = None) -> "Expected":
        graph = read_graph(DIGITS.read_bytes() if model is None else model)
        (scores,) = ReferenceBackend(graph).run(codes)
        return cls(scores.argmax(axis=1), scores.max(axis=1) < above)

    @property
    def decided(self) -> np.ndarray:
        return np.where(self.marked, UNDECIDED, self.label)

    def flags(self, labels: np.ndarray) -> dict[str, float]:
        right = self.label == labels
        return {"share": self.marked.mean(), "accuracy_of_kept": right[~self.marked].mean()}


@pytest.fixture(autouse=True)
def folder(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the digits network, plain and marked below ABOVE."""
    import torch

    del toy
    torch.set_num_threads(1)
    for name, content in zip(NETWORKS, (DIGITS.read_bytes(), marked(ABOVE)), strict=True):
        (tmp_path / f"{name}.tflite").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, list(arguments))


def told(*arguments: str) -> dict:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output + str(done.exception or "")
    return json.loads(done.stdout)


def clean(count: int) -> tuple[np.ndarray, np.ndarray]:
    codes, labels = read_codes(DIGITS, read_graph(DIGITS), "digits:test", count)
    assert labels is not None
    return codes, labels


@pytest.mark.parametrize("backend", ["simulator", "compiled"])
def test_eval_tells_what_is_marked_under_which_setting(backend: str) -> None:
    codes, labels = clean(360)
    where = ("eval", "marked.tflite", "--data", "digits:test", "--backend", backend)
    shares = set()
    for given, above in (((), ABOVE), (("--set", "toy_above=127"), 127)):
        found, expected = told(*where, *given), Expected.of(codes, above)
        assert found["accuracy"] == found["host_accuracy"] == (expected.label == labels).mean()
        assert found["flags"] == pytest.approx(expected.flags(labels))
        assert found["agreement"] == {"differing_bytes": 0, "differing_predictions": 0}
        assert found["settings"] == {"toy_above": {"value": [above], "file": [ABOVE]}}
        shares.add(found["flags"]["share"])
    assert len(shares) == 2


def test_eval_shows_the_setting_and_refuses_what_it_cannot_be() -> None:
    where = ("eval", "marked.tflite", "--data", "digits:test", "--limit", "40", "--set")
    shown = " ".join(run(*where, "toy_above=128").stdout.split())
    assert "flagged 100.00 % settings toy_above 128 (file: 100) differing bytes 0" in shown
    assert "toy_above takes -128 to 128 and got 129" in str(run(*where, "toy_above=129").exception)


def test_scoring_leaves_marked_answers_undecided() -> None:
    codes, labels = clean(60)
    noisy = np.clip(codes + np.random.default_rng(0).integers(-60, 61, codes.shape), -128, 127)
    noisy, graph = noisy.astype(np.int8), read_graph(marked(ABOVE))
    found, expected = score(Simulator(graph), noisy, labels, graph=graph), Expected.of(noisy, ABOVE)
    np.testing.assert_array_equal(found.decided, expected.decided)
    wrong = expected.label != labels
    np.testing.assert_array_equal(found.fooled(labels, None), wrong & ~expected.marked)
    assert (wrong & expected.marked).any()
    assert (wrong & ~expected.marked).any()


@pytest.mark.parametrize(
    "attack", [(*PGD, "--backend", "simulator"), (*SQUARE, "--backend", "compiled")], ids=lambda a: a[1]
)
def test_a_success_of_an_attack_is_never_marked(attack: tuple[str, ...]) -> None:
    found = told("attack", "marked.tflite", "--data", "digits:test", "--limit", "60", *attack, "-o", "a.npz")
    assert found["setting"] == ("white-box" if attack[1] == "pgd" else "black-box")
    stored = np.load("a.npz")
    expected = Expected.of(stored["x"], ABOVE)
    wrong = stored["correct"] & (expected.label != stored["y"])
    np.testing.assert_array_equal(stored["decided"], expected.decided)
    np.testing.assert_array_equal(stored["success"], wrong & ~expected.marked)
    assert found["successes"] == stored["success"].sum() > 0
    assert (wrong & expected.marked).any(), "nothing was noticed"
    for backend in ("simulator", "compiled"):
        again = told("attack", "marked.tflite", "--replay", "a.npz", "--backend", backend)
        assert (again["agreement_share"], again["differing_bytes"]) == (1.0, 0)
        assert again["survived"] == again["successes"] == found["successes"]
        assert again["accuracy"] == (expected.decided == stored["y"]).mean()


def test_the_workers_of_a_campaign_know_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the folders of the parent's modules alone, as a package beside a script is known."""
    monkeypatch.delenv("PYTHONPATH")
    Path("study.toml").write_text(STUDY)
    rows = told("attack", "--config", "study.toml", "--jobs", "2", "-o", "out")
    successes = {name: [row["successes"] for row in rows if row["network"] == name] for name in NETWORKS}
    assert successes["plain"] != successes["marked"]
    figures = ("clean_accuracy", "accuracy_under_attack", "successes", "queries_mean", "distortion")
    for name in NETWORKS:
        for attack in (PGD, SQUARE):
            alone = told("attack", f"{name}.tflite", "--data", "digits:test", "--limit", "40", *attack)
            (row,) = (row for row in rows if (row["network"], row["label"]) == (name, attack[1]))
            assert {key: row[key] for key in figures} == {key: alone[key] for key in figures}


def test_a_campaign_does_not_take_up_what_another_version_of_the_package_left(
    install: Callable[..., None], folder: Path
) -> None:
    Path("study.toml").write_text(STUDY)
    _, first = planned(folder / "study.toml")
    install("toy_mark = tinyguard_toy", TOY, version="1.1")
    _, second = planned(folder / "study.toml")
    same = {old.cell.network.name: old.key == new.key for old, new in zip(first, second, strict=True)}
    assert same == {"plain": True, "marked": False}


def test_a_filter_before_the_network_leaves_the_marks_behind_it() -> None:
    codes, labels = clean(60)
    told("harden", "filter", "marked.tflite", "--filter", "median", "-o", "filtered.tflite")
    metadata = read_metadata(Path("filtered.tflite"))
    assert metadata is not None
    assert metadata.requires == ("filters", "toy_mark")
    found = told("eval", "filtered.tflite", "--data", "digits:test", "--limit", "60", "--backend", "compiled")
    plain = with_filters(DIGITS.read_bytes(), [parse_filter("median")])
    assert found["flags"] == pytest.approx(Expected.of(codes, ABOVE, plain).flags(labels))
    assert found["agreement"]["differing_bytes"] == 0


def test_marks_behind_a_network_that_makes_marks_of_its_own() -> None:
    """Squeezing's threshold is set from its own distances, and answers are marked by either."""
    codes, _ = clean(360)
    squeezing = Squeezing((parse_filter("median"),), 500)
    plain = distances(DIGITS.read_bytes(), squeezing, codes)
    np.testing.assert_array_equal(distances(marked(ABOVE), squeezing, codes), plain)
    squeeze = ("harden", "squeeze", "marked.tflite", "--squeezer", "median", "--threshold", "500")
    told(*squeeze, "-o", "squeezed.tflite")
    found = told("eval", "squeezed.tflite", "--data", "digits:test", "--set", "toy_above=127")
    either = (plain > 500) | Expected.of(codes, 127).marked
    assert found["flags"]["share"] == either.mean() > (plain > 500).mean() > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "harden",
    [
        ("stochastic", "marked.tflite", "--passes", "3", "--seed", "7"),
        ("train", "marked.tflite", "--recipe", "int8-at", "--data", "digits:train", "--limit", "200",
         "--epochs", "1"),
    ],
    ids=lambda harden: harden[0],
)  # fmt: skip
def test_what_hardens_the_network_keeps_the_section(harden: tuple[str, ...]) -> None:
    told("harden", *harden, "-o", "hardened.tflite")
    where = ("eval", "hardened.tflite", "--data", "digits:test", "--limit", "40", "--backend", "compiled")
    found = told(*where, "--set", "toy_above=128")
    assert found["settings"]["toy_above"] == {"value": [128], "file": [ABOVE]}
    assert found["flags"]["share"] == 1
    assert found["agreement"]["differing_bytes"] == 0


@pytest.mark.emulator
def test_a_board_marks_the_same_answers_under_the_same_setting(flashed, folder: Path) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-128, 128, (10, 8, 8, 1)).astype(np.int8)
    np.savez(folder / "noise.npz", x=codes, y=rng.integers(0, 10, 10))
    port = flashed(read_graph(Path("marked.tflite")), "mps2-an500")
    where = ("eval", "marked.tflite", "--data", "noise.npz", "--serial", port)
    shares = []
    for given, above in (((), ABOVE), (("--set", "toy_above=120"), 120), ((), 120)):
        found = told(*where, *given)
        assert found["agreement"] == {"differing_bytes": 0, "differing_predictions": 0}
        assert found["settings"] == {"toy_above": {"value": [above], "file": [ABOVE]}}
        assert found["flags"]["share"] == Expected.of(codes, above).marked.mean()
        shares.append(found["flags"]["share"])
    assert 0 < shares[0] < shares[1] == shares[2] < 1
    layers = told("diff", "marked.tflite", "--serial", port)
    assert (layers["first"], layers["layers"][-1]["operator"]) == (None, "TOY_MARK")
