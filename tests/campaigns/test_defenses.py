# SPDX-License-Identifier: Apache-2.0
"""Studies of defenses: adaptive views, figures under seeds, flags, costs; resuming changes no byte."""

import json
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.campaigns.defense_studies import DEFENSES, HEAD, PGD, SQUEEZED, planned, write
from tests.campaigns.studies import MODEL
from tinyguard.attacks.victim import IntegerVictim
from tinyguard.boards import load
from tinyguard.campaigns.defense_costs import costs_of
from tinyguard.campaigns.defense_study import baseline, with_hardened_files
from tinyguard.campaigns.executor import run_pieces
from tinyguard.campaigns.store import Store, unpack
from tinyguard.campaigns.study import read_study
from tinyguard.campaigns.tables.defense_rows import Table, table_of
from tinyguard.campaigns.tables.defense_table import markdown, write_defense_tables
from tinyguard.campaigns.tables.study_table import UNFINISHED, finished
from tinyguard.defenses.pixel_cnn import load_pixel_cnn
from tinyguard.defenses.pixel_defend import purify
from tinyguard.errors import TinyguardError
from tinyguard.measure.cost import Cost
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata

PIXEL_CNN = Path(MODEL).with_name("pixel-cnn.npz")


class _Immediate(Executor):
    def __init__(self, pieces: int | None = None) -> None:
        self.left = pieces

    def submit(self, function, /, *arguments):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left = None if self.left is None else self.left - 1
        future = Future()
        future.set_result(function(*arguments))
        return future


def run(
    path: Path, store: Store, executor: Executor | None = None, checks: bool = False, costs=None
) -> Table:
    study, cells, pieces = planned(path, checks)
    assert not run_pieces(pieces, store, executor or _Immediate(), 1).failed
    return table_of(study, cells, finished(cells, pieces, store), costs or {})


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The table of the small study, its path and its pieces."""
    folder = tmp_path_factory.mktemp("defenses")
    path, store = write(folder), Store(folder / "cells")
    return run(path, store), path, store


def rows_of(table: Table, defense: str, attack: str) -> list[dict]:
    return [row for row in table.attacks if (row["defense"], row["attack"]) == (defense, attack)]


def test_every_defense_is_attacked_by_who_knows_it(tmp_path):
    _, cells, _ = planned(write(tmp_path), checks=True)
    views = {
        (c.network.name, c.network.filter_gradient, c.network.masks is not None, c.check)
        for c in cells
        if c.setting == "white-box"
    }
    fresh = {("both", rule, masks, False) for rule in ("smooth", "identity") for masks in (True, False)}
    plain = {("none", "smooth", False, False)} | {
        ("median", rule, False, False) for rule in ("smooth", "identity")
    }
    checks = {(name, rule, False, True) for name, rule, masks, _ in fresh | plain if not masks}
    assert views == fresh | plain | checks
    assert all(c.network.masks for c in cells if c.network.name == "both" and c.setting != "white-box")
    assert all(c.inherits is None for c in cells if c.network.masks)


def test_a_detector_is_attacked_with_and_without_it_in_mind(tmp_path):
    study, cells, _ = planned(write(tmp_path, SQUEEZED, PGD), checks=True)
    ways = [(c.setting, c.network.detector, c.check) for c in cells]
    assert set(ways) == {
        ("transfer", "aware", False),
        *(("white-box", word, check) for word in ("aware", "ignored") for check in (True, False)),
    }
    squeezing = read_metadata(Path(study.networks[0].model)).squeezing
    assert [str(one) for one in squeezing.squeezers] == ["median:3"]
    assert squeezing.threshold == 100


def test_pixel_defend_purifies_on_the_host_before_every_answer(tmp_path):
    defenses = {"none": "", "purified": f'purify = {{pixel_cnn = "{PIXEL_CNN}", eps = "40/255"}}\n'}
    path = write(tmp_path, defenses, PGD, HEAD.replace("limit = 30", "limit = 6"))
    store = Store(tmp_path / "cells")
    table = run(path, store)
    study, cells, pieces = planned(path)
    runs = finished(cells, pieces, store)
    graph, network = read_graph(Path(MODEL)), load_pixel_cnn(PIXEL_CNN)
    for cell in (c for c in cells if c.network.purifier):
        found = runs[cell.index]
        decided = Simulator(graph).run(purify(network, found.x, 40))[0].argmax(1)
        np.testing.assert_array_equal(found.decided, decided)
    keys = {p.key for p in pieces}
    assert len(keys) == len(pieces)  # the file is the same, the network is not
    costs = costs_of(study, load("mps2-an500"), tmp_path / "cost")
    assert "on the host alone" in costs["purified"]
    assert [row["adaptive"] is not None for row in rows_of(table, "purified", "pgd")] == [True, True]


@pytest.mark.parametrize(
    ("squeezing", "said"),
    [
        ("3", "squeezing is 3, and a table is needed"),
        ("{threshold = 3}", "names no squeezers"),
        ('{squeezers = ["median"]}', "has no threshold: tinyguard harden squeeze prints one"),
        ('{squeezers = ["media"], threshold = 3}', "median"),
        ('{squeezers = ["median"], threshold = 3, fpr = 0.05}', "fpr"),
    ],
)
def test_squeezing_that_cannot_be_is_refused_in_one_line(squeezing, said, tmp_path):
    with pytest.raises(TinyguardError, match=said):
        read_study(write(tmp_path, {"squeezed": f"squeezing = {squeezing}\n"}))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("purify = 3", "purify is 3, and a table is needed"),
        ('purify = {pixel_cnn = "no.npz"}', "no.npz is not there"),
        (f'purify = {{pixel_cnn = "{PIXEL_CNN}", eps = "0.5/255"}}', "under one code"),
        (f'backend = "litert"\npurify = {{pixel_cnn = "{PIXEL_CNN}"}}', "leave out backend"),
    ],
)
def test_purification_that_cannot_be_is_refused_in_one_line(keys, said, tmp_path):
    with pytest.raises(TinyguardError, match=said):
        read_study(write(tmp_path, {"purified": keys + "\n"}))


def test_figures_are_those_of_the_pieces(small):
    table, path, store = small
    _, cells, pieces = planned(path)
    runs = finished(cells, pieces, store)
    own = [c for c in cells if c.network.name == "median" and c.setting == "white-box" and c.eps_codes == 16]
    broken = np.any([runs[c.index].success for c in own], axis=0)
    left = (runs[own[0].index].correct & ~broken).mean()
    row = rows_of(table, "median", "pgd")[1]
    assert row["adaptive"]["mean"] == left == min(left, *row["adaptive"]["rules"].values())
    assert set(row["adaptive"]["rules"]) == {"pgd, white-box, smooth", "pgd, white-box, identity"}
    assert (row["seeds"], row["samples"], row["adaptive"]["std"]) == (1, 30, None)


def test_stochastic_networks_are_scored_under_ten_seeds(small):
    table, path, store = small
    rows = rows_of(table, "both", "pgd")
    assert [row["seeds"] for row in rows] == [10, 10]
    assert all(row["transfer"]["std"] is not None and row["clean"]["std"] is not None for row in rows)
    _, _, pieces = planned(path)
    runs = [unpack(store.read(p.key)) for p in pieces if p.cell.network.masks]
    for each in runs:
        seeds = each.under_seeds
        assert seeds is not None
        assert seeds.right.shape == seeds.left.shape == (10, each.samples)
        assert not (seeds.left & ~seeds.right).any()
        assert seeds.promising.max() <= 8


def test_who_knows_the_seed_is_at_least_as_strong(small):
    table, *_ = small
    known, fresh = rows_of(table, "both", "pgd, seed known"), rows_of(table, "both", "pgd")
    assert [row["seeds"] for row in known] == [1, 1]
    for one, other in zip(known, fresh, strict=True):
        own, mean = one["adaptive"], other["adaptive"]
        assert set(own["rules"]) > set(mean["rules"])  # what others find without the seed, under the seed
        assert own["mean"] <= min(own["rules"].values())
        assert own["mean"] <= mean["mean"] + 2 * mean["std"]  # one seed of two passes may be a lucky one
        assert one["transfer"] is one["black_box"] is None


def test_all_attacks_together_leave_the_least(small):
    table, *_ = small
    (worst,) = rows_of(table, "median", "all attacks")
    parts = [row for row in table.attacks if row["defense"] == "median" and row["eps_codes"] == 16]
    assert worst["worst"]["mean"] == min(row["worst"]["mean"] for row in parts)
    assert worst["adaptive"] is None


def test_honest_attacks_are_not_flagged(small):
    table, *_ = small
    assert [row["flag"] for row in table.attacks if row["flag"]] == []
    assert "**" not in markdown(table)


def test_a_broken_adaptive_attack_is_flagged(tmp_path, monkeypatch):
    honest = IntegerVictim.slope

    def uphill(self, x, objective, backward=True):
        slope = honest(self, x, objective, backward)
        return replace(slope, gradient=-slope.gradient)

    monkeypatch.setattr(IntegerVictim, "slope", uphill)
    path = write(tmp_path, {"none": "", "mean": 'filters = ["mean:2"]\n'}, PGD)
    table = run(path, Store(tmp_path / "cells"))
    row = rows_of(table, "none", "pgd")[1]
    assert row["adaptive"]["mean"] > row["transfer"]["mean"]
    assert row["flag"].startswith("the attack is broken: adaptive leaves ")
    assert f"**{row['flag']}**" in markdown(table)
    assert table.defenses[0]["flags"] >= 1

    # A direct attack takes whole codes: a transfer that is rounded to more of them proves nothing.
    halves = PGD.replace('"8codes", "16codes"', '"20.4codes", "20.6codes"')
    table = run(write(tmp_path, {"none": ""}, halves), Store(tmp_path / "halves"))
    below, above = rows_of(table, "none", "pgd")
    assert below["flag"].startswith("the attack is broken")
    assert (above["flag"], above["note"]) == ("", "rounding takes the transfer beyond eps")


def test_interrupted_and_resumed_gives_the_same_bytes(small, tmp_path):
    table, path, _ = small
    store = Store(tmp_path / "cells")
    _, _, pieces = planned(path)
    for done in (2, 7):
        with pytest.raises(KeyboardInterrupt):
            run_pieces(pieces, store, _Immediate(done), 1)
    resumed = run(path, store)
    for name, each in (("whole", table), ("resumed", resumed)):
        (tmp_path / name).mkdir()
        write_defense_tables(tmp_path / name, each)
    for name in ("table.json", "table.csv", "table.md"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "resumed" / name).read_bytes()


def test_unfinished_rows_are_counted_and_left_out(small, tmp_path):
    _, path, store = small
    study, cells, pieces = planned(path)
    nothing = table_of(study, cells, finished(cells, pieces, Store(tmp_path / "cells")), {})
    assert {row["note"] for row in nothing.attacks} == {UNFINISHED}
    assert markdown(nothing).count("\n| ") == 1  # the heading of the second table
    assert f"\nRows left out here as not finished: {len(nothing.attacks)} (" in markdown(nothing)
    own = [cell for cell in cells if cell.network.name == "median"]
    part = table_of(study, cells, finished(own, pieces, store), {})
    rows = [row for row in part.attacks if row["defense"] == "median"]
    assert all(row["worst"] for row in rows)
    assert markdown(part).count("\n| median |") == 1 + len(rows)
    assert "| none |" not in markdown(part)
    whole = table_of(study, cells, finished(cells, pieces, store), {})
    assert "left out" not in markdown(whole)


def test_derived_files_hold_the_defenses(tmp_path):
    study = with_hardened_files(read_study(write(tmp_path)), tmp_path / "models")
    none, median, both = (read_metadata(Path(network.model)) for network in study.networks)
    assert study.networks[0].model == str(MODEL)
    assert none is not None
    assert not none.filters
    assert median is not None
    assert [str(one) for one in median.filters] == ["median:3"]
    assert both is not None
    assert both.stochastic is not None
    assert (both.stochastic.passes, both.stochastic.dropped) == (2, 102)
    again = with_hardened_files(read_study(write(tmp_path)), tmp_path / "models")
    assert again.networks == study.networks


def test_baseline_is_the_marked_or_the_first(tmp_path):
    assert baseline(read_study(write(tmp_path))).name == "none"
    marked = {"a": "", "b": "undefended = true\n"}
    assert baseline(read_study(write(tmp_path, marked))).name == "b"
    with pytest.raises(TinyguardError, match="a and b are both undefended"):
        baseline(read_study(write(tmp_path, {name: "undefended = true\n" for name in "ab"})))


def test_added_costs_are_differences(tmp_path):
    study, cells, _ = planned(write(tmp_path))
    costs = {
        "none": Cost("m7", 1000, 100, 5000),
        "median": Cost("m7", 1100, 100, 5200),
        "both": "no room on m7",
    }
    defenses = {one["defense"]: one for one in table_of(study, cells, {}, costs).defenses}
    assert defenses["none"]["added"] == {"instructions": 0, "ram_bytes": 0, "flash_bytes": 0}
    assert defenses["median"]["added"] == {"instructions": 100, "ram_bytes": 0, "flash_bytes": 200}
    assert (defenses["both"]["added"], defenses["both"]["cost_note"]) == (None, "no room on m7")
    text = markdown(table_of(study, cells, {}, costs))
    assert "| median |  | +100 (+10.0 %) | +0 (+0.0 %) | +200 (+4.0 %) |" in text


@pytest.mark.emulator
def test_costs_are_those_of_bench(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from tinyguard.cli import group

    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    study, _, _ = planned(write(tmp_path, {"none": "", "median": 'filters = ["median:3"]\n'}))
    costs = costs_of(study, load("mps2-an500"), tmp_path / "cost")
    for network in study.networks:
        shown = CliRunner().invoke(group, ["bench", network.model, "--board", "mps2-an500", "--json"])
        found, cost = json.loads(shown.stdout), costs[network.name]
        assert isinstance(cost, Cost)
        assert cost.instructions == pytest.approx(found["per_inference"], rel=1e-3)
        assert cost.flash_bytes == found["flash_bytes"]
        assert cost.ram_bytes == found["predicted"]["ram_bytes"]
    assert costs_of(study, load("mps2-an500"), tmp_path / "cost") == costs


@pytest.mark.slow
def test_checks_for_gradient_masking_stand_beside(tmp_path):
    defenses = {"both": DEFENSES["both"]}
    table = run(write(tmp_path, defenses, PGD), Store(tmp_path / "cells"), checks=True)
    (one,) = table.defenses
    assert [check["name"] for check in one["checks"]][:2] == ["repeatable", "steps"]
    assert len(one["checks"]) == 9
    assert one["failed_checks"] == []
