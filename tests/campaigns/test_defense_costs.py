# SPDX-License-Identifier: Apache-2.0
"""A cost is measured once, and again where anything that is built for the board has changed."""

import shutil
from pathlib import Path

import pytest

from tests.campaigns.studies import MODEL, write_study
from tinyguard.boards import load
from tinyguard.campaigns import defense_costs
from tinyguard.campaigns.defense_costs import costs_of
from tinyguard.campaigns.study import read_study
from tinyguard.codegen import prepare_for, project
from tinyguard.measure.cost import Cost
from tinyguard.paths import data_folder
from tinyguard.tflite import read_graph

BOARD = "mps2-an500"


def test_a_changed_kernel_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = read_study(write_study(tmp_path, '[[attack]]\nattack = "fgsm"\neps = [0.1]\n'))
    folder, firmware = tmp_path / "cost", tmp_path / "firmware"
    shutil.copytree(data_folder("firmware"), firmware)
    monkeypatch.setattr(project, "data_folder", lambda name: firmware)
    measured = []

    def measure(graph, board) -> Cost:
        measured.append(board.name)
        return Cost(board.name, 100 + len(measured), 1, 1)

    monkeypatch.setattr(defense_costs, "measure_cost", measure)

    def cost() -> Cost | str:
        (found,) = costs_of(study, load(BOARD), folder).values()
        return found

    first = cost()
    assert cost() == first == Cost(BOARD, 101, 1, 1)
    used = project.kernel_files([prepare_for(read_graph(MODEL), load(BOARD))])
    kernel = firmware / used[0]
    kernel.write_text(kernel.read_text() + "/* faster */\n")
    assert cost() == cost() == Cost(BOARD, 102, 1, 1)
    others = {path.relative_to(firmware).as_posix() for path in firmware.glob("kernels/*.h")} - set(used)
    (firmware / min(others)).write_text("/* of no network here */\n")
    assert cost() == Cost(BOARD, 102, 1, 1)
    assert measured == [BOARD] * 2
    assert len(list(folder.iterdir())) == 2
