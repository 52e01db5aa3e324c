# SPDX-License-Identifier: Apache-2.0
"""What the oracle libraries reach: `python -m tests.attacks.oracle_figures` fills oracle_figures.json.

Rows already in the file are kept, so that a run can be stopped and continued; `--again PART` measures the
rows whose key contains PART anew. `--markdown FILE` prints them all as tables.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.attacks import networks, oracles
from tests.attacks.oracle_cases import Case, cases
from tinyguard.files import write_atomically

FIGURES = Path(__file__).with_suffix(".json")
SEEDS = tuple(range(12))
DATA = {"digits": "digits", "resnet8": "cifar10"}
# A coordinate that moved less than this did not move: the libraries map images to tanh space and back.
UNCHANGED = 1e-4


def predicted(module: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """Lowest index among the maxima of the logits, (N,)."""
    with torch.no_grad():
        return module(torch.from_numpy(x)).argmax(1).numpy()


def norms(delta: np.ndarray) -> dict[str, np.ndarray]:
    """L0 (elements), L1, L2 and Linf of each image's difference, in shares of the pixel range."""
    flat = np.abs(delta.reshape(len(delta), -1)).astype(np.float64)
    return {
        "l0": (flat > UNCHANGED).sum(1).astype(np.float64),
        "l1": flat.sum(1),
        "l2": np.sqrt((flat**2).sum(1)),
        "linf": flat.max(1),
    }


def fixed_targets(y: np.ndarray) -> np.ndarray:
    """The class after the label."""
    return (y + 1) % 10


def judged(
    module: torch.nn.Module, x: np.ndarray, y: np.ndarray, adversarial: np.ndarray, targeted: bool
) -> dict[str, Any]:
    """What an attack reached, in per cent and shares of the pixel range.

    `accuracy`: images of all still classified as their label. `success`: initially correct images (for a
    targeted attack, initially not at their target) that are now wrong (at their target). `median`: over those
    same images with a failure counted as infinite (None), by norm; `largest`: over the successful ones.
    """
    before, after = predicted(module, x), predicted(module, adversarial)
    goal = after == fixed_targets(y) if targeted else after != y
    initially = (before == y) & (before != fixed_targets(y)) if targeted else before == y
    distances = norms(adversarial - x)
    medians = {
        name: float(np.median(np.where(goal, values, np.inf)[initially]))
        for name, values in distances.items()
    }
    hits = goal & initially
    return {
        "accuracy": 100 * float((after == y).mean()),
        "success": 100 * float(goal[initially].mean()),
        "median": {name: value if math.isfinite(value) else None for name, value in medians.items()},
        "largest": {
            name: float(values[hits].max()) if hits.any() else 0.0 for name, values in distances.items()
        },
    }


def measured(case: Case, seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    """Run one case with each seed; per-seed results, and queries and seconds of the mean run."""
    module = getattr(networks, case.network)()
    x, y = networks.images(DATA[case.network], case.count)
    runs: list[dict[str, Any]] = []
    for seed in seeds[: case.seeds]:
        counted = oracles.Counted(module)
        began, wall = time.process_time(), time.perf_counter()
        adversarial = getattr(oracles, case.adapter)(
            counted, x, y, targets=fixed_targets(y) if case.targeted else None, seed=seed, **case.parameters
        )
        runs.append(
            {
                **judged(module, x, y, adversarial, case.targeted),
                "seconds": round(time.process_time() - began, 2),
                "wall_seconds": round(time.perf_counter() - wall, 2),
                "forwards_per_image": counted.forwards / case.count,
                "gradients_per_image": counted.gradients / case.count,
            }
        )
    return {
        "network": case.network,
        "attack": case.name,
        "adapter": case.adapter,
        "parameters": {k: str(v) if v == math.inf else v for k, v in case.parameters.items()},
        "norm": case.norm,
        "budget": case.budget,
        "targeted": case.targeted,
        "images": case.count,
        "threads": torch.get_num_threads(),
        "note": case.note,
        "runs": runs,
    }


INTRODUCTION = """# What the oracle libraries reach on the float networks

Made by `python -m tests.attacks.oracle_figures` (parameters and figures: tests/attacks/oracle_figures.json).
Images: the first held-out ones, share = pixel / 255. `digits` = models/digits/model.keras as PyTorch logits,
`resnet8` = models/resnet8-cifar10 logits. T: targeted at (label + 1) % 10.
accuracy: images (of all) still classified as their label, mean and per seed. success: of the initially
correct images, those now wrong (T: at their target; compare targeted rows by this). Median norm: over the
initially correct images, a failure counts as infinite; mean over the seeds; for a budget the largest norm.
forwards / gradients: images shown to the network, per image of the set, finished ones included. s: seconds of
this process on a CPU, one run, on one thread.
"""


def mean_median(row: dict[str, Any]) -> float:
    """Mean over the seeds of the median of the row's own norm; infinite where half of the attacks failed."""
    values = [run["median"][row["norm"]] for run in row["runs"]]
    return math.inf if any(v is None for v in values) else float(np.mean(values))


def first_largest(row: dict[str, Any]) -> float:
    """The largest norm that the first seed's successes used."""
    return row["runs"][0]["largest"][row["norm"]]


def mean_of(row: dict[str, Any], name: str) -> float:
    return float(np.mean([run[name] for run in row["runs"]]))


def markdown(rows: dict[str, dict[str, Any]]) -> str:
    """Two tables: attacks with a budget, minimum-norm attacks."""
    lines = [INTRODUCTION]
    for title, budgeted in (("Attacks with a budget", True), ("Minimum-norm attacks", False)):
        lines += [
            f"\n## {title}\n",
            "| network | attack | T | adapter | parameters | images x seeds | accuracy % | success % "
            "| norm | median L0 / L1 / L2 / Linf, seed 0 | forwards / gradients an image | s | note |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for row in rows.values():
            if (row["budget"] is not None) != budgeted:
                continue
            first = row["runs"][0]["median"]
            shown = " / ".join("inf" if first[n] is None else f"{first[n]:.4g}" for n in first)
            norm = first_largest(row) if budgeted else mean_median(row)
            each = " ".join(f"{run['accuracy']:.1f}" for run in row["runs"])
            lines.append(
                f"| {row['network']} | {row['attack']} | {'T' if row['targeted'] else ''} | {row['adapter']} "
                f"| {json.dumps(row['parameters'])[1:-1]} | {row['images']} x {len(row['runs'])} "
                f"| **{mean_of(row, 'accuracy'):.2f}** ({each}) | {mean_of(row, 'success'):.1f} "
                f"| {row['norm']}: **{norm:.4g}** | {shown} "
                f"| {mean_of(row, 'forwards_per_image'):.0f} / {mean_of(row, 'gradients_per_image'):.0f} "
                f"| {mean_of(row, 'seconds'):.2f} | {row['note']} |"
            )
    return "\n".join(lines) + "\n"


def stored() -> dict[str, dict[str, Any]]:
    """The rows measured so far, by the key of their case."""
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {}


def keep(case: Case, row: dict[str, Any], tables: Path | None) -> None:
    """Add a row to the file, in the order of the cases, and to the tables."""
    rows = stored() | {case.key: row}
    rows = {each.key: rows[each.key] for each in cases() if each.key in rows}
    write_atomically(FIGURES, json.dumps(rows, indent=1) + "\n")
    if tables:
        write_atomically(tables, markdown(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="Measure the rows whose key contains this.")
    parser.add_argument("--again", default=None, help="Measure these rows anew.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", type=Path, help="Write the tables here as well, after every row.")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    again = options.again
    for case in cases():
        known = case.key in stored() and (again is None or again not in case.key)
        if options.only not in case.key or known:
            continue
        try:
            row = measured(case)
        except Exception as error:
            # A library that fails on one row costs that row only.
            print(f"{case.key}: {type(error).__name__}: {error}", flush=True)
            continue
        keep(case, row, options.markdown)
        print(
            f"{case.key}: {mean_of(row, 'accuracy'):.2f} % accuracy, {row['norm']} {mean_median(row):.4g}, "
            f"{mean_of(row, 'forwards_per_image'):.0f} forwards, {mean_of(row, 'seconds'):.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
