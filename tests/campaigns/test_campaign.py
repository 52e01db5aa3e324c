# SPDX-License-Identifier: Apache-2.0
"""Campaigns: what is run and inherited, and that an interrupted one ends as an uninterrupted one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.campaigns.studies import MODEL, planned, table, without_times, write_study
from tinyguard.backends.choose import exact_host_backend
from tinyguard.campaigns import piece
from tinyguard.campaigns.executor import run_pieces
from tinyguard.campaigns.store import Store, unpack
from tinyguard.campaigns.tables.study_table import UNFINISHED, finished, markdown, rows
from tinyguard.campaigns.workers import local_workers
from tinyguard.robustness.scoring import score
from tinyguard.tflite import read_graph

TWENTY_FOUR = """
[[attack]]
attack = "pgd"
eps = ["4codes", "8codes", "12codes", "16codes", "20codes", "24codes", "28codes", "32codes"]
steps = 10
[[attack]]
attack = "fgsm"
eps = ["4codes", "8codes", "12codes", "16codes", "20codes", "24codes", "28codes", "32codes"]
[[attack]]
attack = "square"
eps = ["4codes", "8codes", "12codes", "16codes", "20codes", "24codes", "28codes", "32codes"]
queries = 100
"""


class _Immediate(Executor):
    """Runs a piece where it is submitted, and is interrupted after some of them."""

    def __init__(self, pieces: int | None = None) -> None:
        self.left = pieces

    def submit(self, function, /, *arguments):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left = None if self.left is None else self.left - 1
        future = Future()
        future.set_result(function(*arguments))
        return future


def test_interrupted_equals_uninterrupted(tmp_path):
    path = write_study(tmp_path)
    _, pieces = planned(path)
    run_pieces(pieces, Store(tmp_path / "whole"), _Immediate(), 1)
    store = Store(tmp_path / "parts")
    for done in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            run_pieces(pieces, store, _Immediate(done), 1)
    with ThreadPoolExecutor(1) as executor:
        run_pieces(pieces, store, executor, 2)
    whole = table(path, tmp_path / "whole")
    assert table(path, tmp_path / "parts") == whole
    records = json.loads(whole)
    assert [r["accuracy_under_attack"] for r in records if r["label"] == "pgd"] == sorted(
        (r["accuracy_under_attack"] for r in records if r["label"] == "pgd"), reverse=True
    )


def test_equal_budgets_run_once_and_successes_are_inherited(tmp_path):
    cells, pieces = planned(write_study(tmp_path))
    pgd = [cell for cell in cells if cell.entry.attack == "pgd"]
    assert [cell.equal_to for cell in pgd] == [None, None, 1]  # 0.0644 is 16.4 codes
    assert [cell.inherits for cell in pgd] == [None, 0, None]
    assert len(pieces) == 2 * 2 + 2
    store = Store(tmp_path / "cells")
    run_pieces(pieces, store, _Immediate(), 1)
    small, large = (unpack(store.read(p.key)) for p in pieces if p.start == 0 and p.cell.index in (0, 1))
    kept = small.success
    assert kept.any()
    assert large.success[kept].all()
    np.testing.assert_array_equal(large.x[kept], small.x[kept])
    assert large.extra["inherited"] == kept.sum()


def test_the_markdown_counts_unfinished_rows_and_leaves_them_out(tmp_path):
    cells, pieces = planned(write_study(tmp_path))
    records = rows(cells, finished(cells, pieces, Store(tmp_path / "cells")))
    assert {record["note"] for record in records} == {UNFINISHED}
    heading, ruler, empty, last = markdown(records).splitlines()
    assert (heading[0], ruler[0], empty) == ("|", "|", "")
    assert last == f"Rows left out here as not finished: {len(records)} (table.csv has them)."


def test_fab_searches_once_for_all_budgets_of_autoattack(tmp_path, monkeypatch):
    attacks = (
        '[[attack]]\nattack = "autoattack"\neps = ["8codes", "16codes", "24codes"]\nsteps = 10\nqueries = 9\n'
    )

    def run(name: str) -> list:
        folder = tmp_path / name
        folder.mkdir()
        _, pieces = planned(write_study(folder, attacks, 20))
        store = Store(folder / "cells")
        run_pieces(pieces, store, _Immediate(), 1)
        return [unpack(store.read(piece.key)) for piece in pieces]

    once = run("once")
    monkeypatch.setattr(piece, "_nearest", lambda inherited, left: None)
    anew = run("anew")
    for a, b in zip(once, anew, strict=True):
        np.testing.assert_array_equal(a.success, b.success)
    assert not once[-1].success.all()
    left = ~once[0].success & once[0].correct
    assert left.any()
    assert (once[1].queries[left] < anew[1].queries[left]).any()
    assert (once[1].queries <= anew[1].queries).all()


def test_budget_under_one_code_is_no_cell_to_run(tmp_path):
    attacks = '[[attack]]\nattack = "pgd"\neps = [0.002, "2codes"]\n'
    cells, pieces = planned(write_study(tmp_path, attacks))
    assert [cell.unreachable for cell in cells] == [True, False]
    assert {piece.cell.index for piece in pieces} == {1}


@pytest.mark.parametrize(
    ("attack", "norm", "budgets"), [("deepfool", "l2", [0.5, 0.75, 1.5]), ("jsma", "l0", [3, 9])]
)
def test_a_minimum_norm_attack_runs_once_for_all_budgets(tmp_path, attack, norm, budgets):
    def study(eps: list[float]) -> tuple[Path, Path]:
        folder = tmp_path / str(eps)
        folder.mkdir()
        path = write_study(folder, f'[[attack]]\nattack = "{attack}"\neps = {eps}\n', 20)
        cells, pieces = planned(path)
        assert len(pieces) == 1
        assert sum(cell.runs for cell in cells) == 1
        run_pieces(pieces, Store(folder / "cells"), _Immediate(), 1)
        return path, folder / "cells"

    together = json.loads(table(*study(budgets)))
    alone = [json.loads(table(*study([eps])))[0] for eps in budgets]
    assert together[: len(budgets)] == alone
    left = [record["accuracy_under_attack"] for record in alone]
    assert left[0] > left[-1]
    assert [record["norm"] for record in alone] == [norm] * len(budgets)


def test_keys_name_all_that_counts(tmp_path):
    attacks = '[[attack]]\nattack = "pgd"\neps = ["8codes"]\nsteps = {steps}\n'
    keys = set()
    for steps, limit in ((4, 40), (5, 40), (4, 30)):
        _, pieces = planned(write_study(tmp_path, attacks.format(steps=steps), limit))
        keys |= {piece.key for piece in pieces}
    assert len(keys) == 5  # the first 20 samples with 4 steps are the same piece twice


def test_damaged_piece_is_run_again(tmp_path):
    path = write_study(tmp_path, '[[attack]]\nattack = "fgsm"\neps = ["8codes"]\n', 20)
    _, pieces = planned(path)
    store = Store(tmp_path / "cells")
    run_pieces(pieces, store, _Immediate(), 1)
    before = table(path, store.folder)
    store.path(pieces[0].key).write_bytes(b"PK\x03\x04 cut")
    run_pieces(pieces, store, _Immediate(), 1)
    assert table(path, store.folder) == before


def test_targeted_attacks_have_a_worst_case_of_their_own(tmp_path):
    attack = '[[attack]]\nattack = "fgsm"\neps = ["16codes"]\nlabel = "{label}"\n'
    path = write_study(tmp_path, "".join(attack.format(label=n) for n in "ab"), 20)
    text = path.read_text() + attack.format(label="c") + "targeted = 3\n"
    path.write_text(text.replace("shard = 20", "shard = 1") + attack.format(label="d") + 'targeted = "3"\n')
    _, pieces = planned(path)
    assert not run_pieces(pieces, Store(tmp_path / "cells"), _Immediate(), 1).failed
    records = json.loads(table(path, tmp_path / "cells"))
    worst = {r["label"]: r["samples"] for r in records if r["label"].startswith("worst case")}
    assert worst["worst case"] == 20 > worst["worst case, to 3"]


class _Losing(Executor):
    """Loses the worker of the first piece."""

    def __init__(self) -> None:
        self.lost = False

    def submit(self, function, /, *arguments):
        future = Future()
        if self.lost:
            future.set_result(function(*arguments))
        else:
            future.set_exception(RuntimeError("the worker is gone\n"))
        self.lost = True
        return future


def test_a_lost_worker_costs_its_piece_alone(tmp_path):
    _, pieces = planned(write_study(tmp_path, '[[attack]]\nattack = "fgsm"\neps = ["8codes"]\n', 40))
    progress = run_pieces(pieces, Store(tmp_path / "cells"), _Losing(), 1)
    assert progress.failed == {pieces[0].key: "RuntimeError: the worker is gone"}
    assert progress.done == {pieces[1].key}


def test_stored_inputs_score_the_same_elsewhere(tmp_path):
    _, pieces = planned(write_study(tmp_path, '[[attack]]\nattack = "pgd"\neps = ["16codes"]\nsteps = 5\n'))
    store = Store(tmp_path / "cells")
    run_pieces(pieces, store, _Immediate(), 1)
    backend = exact_host_backend(read_graph(MODEL))
    for done in pieces:
        run = unpack(store.read(done.key))
        np.testing.assert_array_equal(score(backend, run.x, run.y).decided, run.decided)


def _command(path, *options):
    return [
        str(Path(sys.executable).with_name("tinyguard")),
        "attack",
        "--config",
        str(path),
        "--json",
        *options,
    ]


@pytest.mark.slow
def test_killed_five_times_equals_uninterrupted(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole, killed = (write_study(tmp_path / name, TWENTY_FOUR, 60) for name in ("whole", "killed"))
    cells, _ = planned(whole)
    assert len(cells) == 24
    expected = subprocess.run(_command(whole, "--jobs", "2"), capture_output=True, check=True).stdout
    generator, kills = random.Random(3), 0
    store = tmp_path / "killed" / "study" / "cells"
    while kills < 5:
        process = subprocess.Popen(_command(killed, "--jobs", "2"), stdout=subprocess.PIPE)
        before = len(list(store.glob("*.npz"))) if store.is_dir() else 0
        while process.poll() is None and len(list(store.glob("*.npz"))) <= before + generator.randrange(8):
            time.sleep(0.02)
        assert process.poll() is None, "the campaign ended before it was killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    found = subprocess.run(_command(killed, "--jobs", "2"), capture_output=True, check=True).stdout
    assert without_times(json.loads(found)) == without_times(json.loads(expected))


@pytest.mark.parametrize(("threads", "jobs", "each"), [(3, 1, 3), (4, 2, 2), (1, 2, 1)])
def test_workers_share_the_threads_that_torch_may_use(threads, jobs, each):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with local_workers(jobs) as (executor, _):
            assert executor.submit(torch.get_num_threads).result() == each
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_dask_workers_give_the_same(tmp_path):
    distributed = pytest.importorskip("distributed")
    (tmp_path / "local").mkdir()
    (tmp_path / "dask").mkdir()
    local, dask = (write_study(tmp_path / name, TWENTY_FOUR, 60) for name in ("local", "dask"))
    expected = subprocess.run(_command(local), capture_output=True, check=True).stdout
    with distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        found = subprocess.run(_command(dask, "--scheduler", address), capture_output=True, check=True).stdout
    assert without_times(json.loads(found)) == without_times(json.loads(expected))
