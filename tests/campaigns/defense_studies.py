# SPDX-License-Identifier: Apache-2.0
"""A study of defenses of the committed digits network, small enough for a test."""

from pathlib import Path

from tests.campaigns.studies import MODEL
from tinyguard.campaigns.defense_study import defense_cells, with_hardened_files
from tinyguard.campaigns.grid import pieces_of
from tinyguard.campaigns.study import read_study

HEAD = """
data = "digits:test"
limit = 30
shard = 20
attack_seeds = 2
"""
NETWORK = f"""
[[network]]
name = "NAME"
model = "{MODEL}"
source = "{MODEL}"
"""
PGD = """
[[attack]]
attack = "pgd"
setting = ["transfer", "white-box"]
eps = ["8codes", "16codes"]
steps = 8
"""
SQUARE = """
[[attack]]
attack = "square"
eps = ["16codes"]
queries = 20
"""
DEFENSES = {
    "none": "",
    "median": 'filters = ["median:3"]\n',
    "both": 'filters = ["mean:2"]\nstochastic = {p = 0.4, passes = 2}\n',
}
SQUEEZED = {"squeezed": 'squeezing = {squeezers = ["median:3"], threshold = 100}\n'}


def write(folder: Path, defenses=DEFENSES, attacks: str = PGD + SQUARE, head: str = HEAD) -> Path:
    networks = "".join(NETWORK.replace("NAME", name) + keys for name, keys in defenses.items())
    path = folder / "defenses.toml"
    path.write_text(head + networks + attacks)
    return path


def planned(path: Path, checks: bool = False):
    study = with_hardened_files(read_study(path), path.parent / "models")
    cells = defense_cells(study, checks)
    return study, cells, pieces_of(study, cells, path.parent / "crafted")
