# SPDX-License-Identifier: Apache-2.0
"""A study of the committed digits network, small enough for a test."""

import json
from pathlib import Path

from tinyguard.campaigns.grid import cells_of, pieces_of
from tinyguard.campaigns.store import Store
from tinyguard.campaigns.study import read_study
from tinyguard.campaigns.tables.study_table import finished, rows

MODEL = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
TIMES = ("seconds", "threads")

NETWORK = f"""
data = "digits:test"
limit = {{limit}}
shard = 20
[[network]]
name = "int8"
model = "{MODEL}"
"""

SMALL = """
[[attack]]
attack = "pgd"
eps = ["8codes", "16codes", 0.0644]
steps = 4
[[attack]]
attack = "square"
eps = [0.05, 0.1]
queries = 30
limit = 20
"""


def write_study(folder: Path, attacks: str = SMALL, limit: int = 40) -> Path:
    path = folder / "study.toml"
    path.write_text(NETWORK.format(limit=limit) + attacks)
    return path


def planned(path: Path):
    study = read_study(path)
    cells = cells_of(study)
    return cells, pieces_of(study, cells, path.parent / "crafted")


def table(path: Path, folder: Path) -> str:
    """The merged records without times and what they were taken with, as text that can be compared."""
    cells, pieces = planned(path)
    return without_times(rows(cells, finished(cells, pieces, Store(folder))))


def without_times(records: list[dict]) -> str:
    kept = [{k: v for k, v in record.items() if k not in TIMES} for record in records]
    return json.dumps(kept, sort_keys=True, indent=1)
