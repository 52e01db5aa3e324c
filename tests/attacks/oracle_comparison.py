# SPDX-License-Identifier: Apache-2.0
"""Ours beside theirs: `python -m tests.attacks.oracle_comparison [--only PART] [--json FILE]`.

Every row of a library that has a figure is attacked by ours, with the same seeds. Prints accuracy under
attack (targeted: success) or the median norm, what was asked of the network for an image, and whether the
rule of `Comparison.passed` holds.
"""

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.attacks import networks, oracle_figures
from tests.attacks.oracle_cases import Case
from tests.attacks.oracle_pairs import Pair, paired, run_ours
from tinyguard.files import write_atomically

POINTS = 1.0
RATIO = 1.05
_TOLERANCE = 1e-5
_ROUNDING = 2.0**-23  # of a float32 share near 1: 6e-5 of half a code


@dataclass(frozen=True)
class Comparison:
    """One row. `measure`: "accuracy" or "success" (targeted budgets) in per cent, or the norm of the median.

    `theirs` and `ours` are means over the seeds; `asked` are forward and backward passes an image of theirs,
    `queries` ours, where a pass forward and back is one; `largest` is the largest norm of our successes.
    """

    row: str
    measure: str
    theirs: float
    ours: float
    each: tuple[float, ...]
    asked: tuple[float, float]
    queries: float
    largest: float
    budget: float | None

    @property
    def passed(self) -> bool:
        """At most their accuracy and a point, at least their success less a point, at most 1.05 of their
        median norm; and inside the budget."""
        if self.budget is not None and self.largest > self.budget * (1 + _TOLERANCE) + _ROUNDING:
            return False
        if self.measure == "accuracy":
            return self.ours <= self.theirs + POINTS + _TOLERANCE
        if self.measure == "success":
            return self.ours >= self.theirs - POINTS - _TOLERANCE
        return self.ours <= RATIO * self.theirs


def compared(case: Case, pair: Pair, row: dict[str, Any]) -> Comparison:
    """Our attack with the seeds that the library's stored `row` has, beside that."""
    module = getattr(networks, case.network)()
    x, y = networks.images(oracle_figures.DATA[case.network], case.count)
    forwards = oracle_figures.mean_of(row, "forwards_per_image")
    runs, queries = [], []
    for seed in oracle_figures.SEEDS[: case.seeds]:
        adversarial, outcome = run_ours(case, pair, seed, forwards)
        runs.append(oracle_figures.judged(module, x, y, adversarial, case.targeted))
        queries.append(float(outcome.queries.sum()) / case.count)
    if case.budget is None:
        measure = case.norm
        theirs = oracle_figures.mean_median(row)
        each = [run["median"][measure] for run in runs]
        each = [math.inf if value is None else value for value in each]
    else:
        measure = "success" if case.targeted else "accuracy"
        theirs = oracle_figures.mean_of(row, measure)
        each = [run[measure] for run in runs]
    return Comparison(
        row=case.key,
        measure=measure,
        theirs=theirs,
        ours=float(np.mean(each)),
        each=tuple(each),
        asked=(forwards, oracle_figures.mean_of(row, "gradients_per_image")),
        queries=float(np.mean(queries)),
        largest=max(run["largest"][case.norm] for run in runs),
        budget=case.budget,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="The rows whose key contains this.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="Write the rows here, beside those of earlier runs.")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    figures = oracle_figures.stored()
    found = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    print(f"{'row':56}{'measure':>9}{'theirs':>9}{'ours':>9}{'asked':>12}{'queries':>8}")
    failed = []
    for case, pair in paired():
        if options.only not in case.key or case.key not in figures:
            continue
        one = compared(case, pair, figures[case.key])
        asked = f"{one.asked[0]:.0f}/{one.asked[1]:.0f}"
        verdict = "" if one.passed else "  weaker"
        print(
            f"{one.row:56}{one.measure:>9}{one.theirs:9.4g}{one.ours:9.4g}{asked:>12}{one.queries:8.0f}{verdict}",
            flush=True,
        )
        failed += [] if one.passed else [one.row]
        found[one.row] = asdict(one) | {"passed": one.passed}
        if options.json:
            write_atomically(options.json, json.dumps(found, indent=1) + "\n")
    print(f"{len(failed)} weaker: {', '.join(failed)}" if failed else "none is weaker")


if __name__ == "__main__":
    main()
