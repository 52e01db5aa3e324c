"""Our attacks' speed beside ART's and torchattacks', on the same float networks, in one run.

    python -m benchmarks.attacks [--threads 2] [--only PART] [--images N] [--rounds 2] [--json FILE]

From the root of a checkout with tinyguard[oracles]. Every row attacks the same held-out images with the same
parameters; ART runs at each of its batch sizes and the best counts, and so do the best rounds of both sides.
Attacks without a fixed number of queries get the queries of the library as their limit. `forwards` are images
shown to the network; `a forward` is the ratio of seconds for each of them, `ratio` that of seconds for the
whole attack. Times are of the clock: run it on a quiet machine.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import torch

from tests.attacks import networks, oracles
from tests.attacks.oracle_cases import Case
from tests.attacks.oracle_figures import DATA, fixed_targets
from tests.attacks.oracle_pairs import Pair, attack_of, paired, problem_of
from tinyguard.files import write_atomically

ART_BATCHES = (32, 128, 512)
OUR_BATCHES = (64, 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="Rows whose key contains this, e.g. digits/square300.")
    parser.add_argument("--images", type=int, help="Images a row, instead of each row's own number.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="Write the rows here.")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.threads} threads of {os.cpu_count()} cores, best of {options.rounds} rounds")
    print(
        f"{'row':52}{'theirs s':>10}{'batch':>6}{'forwards':>9}{'ours s':>9}{'queries':>9}{'ratio':>7}",
        end="",
    )
    print(f"{'a forward':>10}{'wanted':>8}")
    rows: list[dict[str, Any]] = []
    for case, pair in paired():
        if pair.faster is None or options.only not in case.key or case.adapter.startswith("foolbox"):
            continue
        count = options.images or case.count
        rows.append(compare(replace(case, count=count), pair, options.rounds))
        print(line(rows[-1]), flush=True)
        if options.json:
            write_atomically(options.json, json.dumps({"threads": options.threads, "rows": rows}, indent=1))
    slower = [row["row"] for row in rows if row["ratio"] < row["wanted"]]
    if slower:
        sys.exit(f"below the wanted ratio: {', '.join(slower)}")


def compare(case: Case, pair: Pair, rounds: int) -> dict[str, Any]:
    """Seconds of both sides on one row, and what each asked the network an image."""
    module = getattr(networks, case.network)()
    x, y = networks.images(DATA[case.network], case.count)
    targets = fixed_targets(y) if case.targeted else None
    counted = oracles.Counted(module)
    library = getattr(oracles, case.adapter)
    batches: tuple[int | None, ...] = ART_BATCHES if case.adapter.startswith("art") else (None,)

    def theirs(batch: int | None) -> None:
        size = {} if batch is None else {"batch_size": batch}
        library(counted, x, y, targets=targets, seed=0, **size, **case.parameters)

    timed = {batch: seconds(lambda batch=batch: theirs(batch), rounds) for batch in batches}
    batch = min(timed, key=timed.__getitem__)
    counted.forwards = 0
    theirs(batch)
    forwards = counted.forwards / case.count

    problems = [problem_of(case, 0, size)[0] for size in OUR_BATCHES]
    attack = attack_of(case, pair, forwards)
    ours = min(seconds(lambda problem=problem: attack.run(problem), rounds) for problem in problems)
    queries = float(attack.run(problems[0]).queries.sum()) / case.count
    return {
        "row": case.key,
        "theirs_seconds": timed[batch],
        "batch": batch,
        "forwards": forwards,
        "ours_seconds": ours,
        "queries": queries,
        "ratio": timed[batch] / ours,
        "ratio_a_forward": timed[batch] / forwards / (ours / queries),
        "wanted": pair.faster,
        "images": case.count,
    }


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['row']:52}{row['theirs_seconds']:10.2f}{row['batch'] or '-':>6}{row['forwards']:9.0f}"
        f"{row['ours_seconds']:9.2f}{row['queries']:9.0f}{row['ratio']:7.1f}{row['ratio_a_forward']:10.1f}"
        f"{row['wanted']:8.0f}"
    )


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The quickest of several runs, after none to warm up: a row runs for seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
