# SPDX-License-Identifier: Apache-2.0
"""Recipes beside each other, paired by image: `python compare.py attacks.toml attacks` after that study.

Of every attack: the accuracy under it, the mean over exits and seeds of each recipe, and how far neo-kd lies
above each other recipe over the seeds that both have: the mean of the images' differences, and 1.96 of its
standard errors.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinyguard.campaigns.grid import cells_of, pieces_of
from tinyguard.campaigns.store import Store
from tinyguard.campaigns.study import read_study
from tinyguard.campaigns.tables.study_table import finished
from tinyguard.robustness.attack_run import AttackRun

_Z = 1.96


def runs_of(file: Path, folder: Path) -> Iterator[tuple[str, str, str, AttackRun]]:
    """Attack, recipe, seed and run of every finished cell."""
    study = read_study(file)
    cells = cells_of(study)
    found = finished(cells, pieces_of(study, cells, folder.resolve() / "crafted"), Store(folder / "cells"))
    for index, run in found.items():
        recipe, seed = cells[index].network.name.split()
        yield f"{cells[index].entry.label}, on {run.conditions.on}", recipe, seed, run


def right(run: AttackRun) -> np.ndarray:
    """Each image's mean over exits of being right under the attack, float64 (N,)."""
    assert run.exits is not None
    return np.asarray((run.exits.labels == run.y[:, None]).mean(1))


def main(file: Path, folder: Path) -> None:
    """Print a Markdown table an attack."""
    table: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for attack, recipe, seed, run in runs_of(file, folder):
        table.setdefault(attack, {}).setdefault(recipe, {})[seed] = right(run)
    for attack, recipes in table.items():
        print(f"\n{attack}\n\n| recipe | seeds | mean over exits | neo-kd above it |\n|---|---:|---:|---|")
        for recipe, seeds in recipes.items():
            mean = 100 * float(np.mean(list(seeds.values())))
            print(
                f"| {recipe} | {len(seeds)} | {mean:.1f} | {_difference(recipes.get('neo-kd', {}), seeds)} |"
            )


def _difference(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> str:
    both = sorted(ours.keys() & theirs.keys())
    if not both or ours is theirs:
        return ""
    apart = 100 * np.mean([ours[seed] - theirs[seed] for seed in both], axis=0)
    mean, error = float(apart.mean()), _Z * float(apart.std(ddof=1)) / len(apart) ** 0.5
    said = "" if abs(mean) > error else ", no difference shown"
    return f"{mean:+.1f} ± {error:.1f}{said}"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
