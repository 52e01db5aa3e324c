# SPDX-License-Identifier: Apache-2.0
"""Our attacks' speed beside ART's and torchattacks', on the same float networks, in one run.

    python -m benchmarks.attacks [--threads 2] [--cpu] [--only PART] [--rounds 1] [--json FILE]

From the root of a checkout with tinyguard[oracles]; ten minutes on a quiet machine. Every row attacks the
same held-out images with the same parameters. The libraries get the network as a user has it, a PyTorch
module from images (N, C, H, W), and once more with its weights channels last; ART runs at each of its batch
sizes and the best counts. Ours takes the same module through `open_float_source`, as `tinyguard attack` does.
Attacks without a fixed number of queries get those of the library as their limit. `asked` are images shown
forward and back to the library's network, for an image of the set; `queries` are ours, forward or forward
and back. `ratio` is theirs over ours in seconds for the whole attack, `last` that with channels last. Times
are of the clock; `--cpu` takes those of the processor, for a machine that does other things as well.
"""

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import torch

from tests.attacks import networks, oracles
from tests.attacks.oracle_cases import Case
from tests.attacks.oracle_figures import DATA, fixed_targets
from tests.attacks.oracle_pairs import Pair, attack_of, paired, problem_of
from tinyguard.attacks.victim import FloatVictim
from tinyguard.files import write_atomically
from tinyguard.robustness.transfer import open_sources
from tinyguard.tflite import read_graph, read_metadata

ART_BATCHES = (32, 128)
# One image at a time whatever the batch size: it only has to hold the probes of a step.
ONE_BY_ONE = ("boundary", "geoda", "hop_skip_jump", "carlini_linf")
OUR_BATCHES = (64, 256)
FOLDERS = {"digits": "digits", "resnet8": "resnet8-cifar10"}
# Images of each row; the libraries' seconds grow with them.
ROWS = {
    "digits/pgd20-eps0.08/art_pgd": 200,
    "digits/pgd20-eps0.08/torchattacks_pgd_linf": 200,
    "digits/square300-eps0.08/art_square": 200,
    "digits/deepfool-paper/art_deepfool": 30,
    "digits/cw-l2-paper/art_carlini_l2": 20,
    "digits/ead-en-paper/art_ead": 20,
    "digits/cw-linf-paper/art_carlini_linf": 5,
    "digits/jsma-paper/targeted/art_jsma": 50,
    "digits/zoo-paper/art_zoo": 3,
    "digits/boundary-1000/art_boundary": 200,
    "digits/geoda-1000/art_geoda": 100,
    "digits/hopskipjump-1000/art_hop_skip_jump": 200,
    "resnet8/pgd20-eps1code/art_pgd": 100,
    "resnet8/pgd20-eps1code/torchattacks_pgd_linf": 100,
    "resnet8/square300-eps2code/art_square": 30,
    "resnet8/deepfool-paper/art_deepfool": 16,
    "resnet8/cw-l2-paper/art_carlini_l2": 8,
    "resnet8/ead-en-paper/art_ead": 8,
    "resnet8/cw-linf-paper/art_carlini_linf": 5,
    "resnet8/jsma-paper/targeted/art_jsma": 20,
    "resnet8/zoo-paper/art_zoo": 2,
    "resnet8/boundary-1000/art_boundary": 20,
    "resnet8/geoda-1000/art_geoda": 10,
    "resnet8/hopskipjump-1000/art_hop_skip_jump": 20,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu", action="store_true", help="Seconds of the processor instead of the clock's.")
    parser.add_argument("--only", default="", help="Rows whose key contains this, e.g. digits/square300.")
    parser.add_argument(
        "--rounds", type=int, default=1, help="The quickest of so many counts, of both sides."
    )
    parser.add_argument("--json", type=Path, help="Write the rows here.")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.cpu else time.perf_counter
    unit = "processor's" if options.cpu else "clock's"
    print(
        f"{options.threads} threads of {os.cpu_count()} cores, seconds of the {unit}, rounds {options.rounds}"
    )
    print(
        f"{'row':50}{'images':>7}{'batch':>6}{'asked':>11}{'theirs s':>10}{'last s':>8}{'queries':>9}"
        f"{'ours s':>8}{'ratio':>7}{'last':>7}{'wanted':>8}"
    )
    victims = {
        name: ours(name) for name in FOLDERS if options.only.startswith(name) or options.only not in FOLDERS
    }
    # Otherwise the first row's library would be timed while it is imported.
    import_libraries()
    known = {case.key: (case, pair) for case, pair in paired()}
    rows: list[dict[str, Any]] = []
    for key, images in ROWS.items():
        if options.only not in key:
            continue
        case, pair = known[key]
        rows.append(compare(replace(case, count=images), pair, victims[case.network], options.rounds, clock))
        print(line(rows[-1]), flush=True)
        if options.json:
            found = {"threads": options.threads, "cpu": options.cpu, "rows": rows}
            write_atomically(options.json, json.dumps(found, indent=1) + "\n")
    slower = [row["row"] for row in rows if row["ratio"] < row["wanted"]]
    if slower:
        sys.exit(f"below the wanted ratio: {', '.join(slower)}")


def import_libraries() -> None:
    for module in ("art.attacks.evasion", "art.estimators.classification", "torchattacks"):
        importlib.import_module(module)


def ours(name: str) -> FloatVictim:
    """The float network as our attacks take it: from the module that the libraries get."""
    path = networks.MODELS / FOLDERS[name] / "model.tflite"
    metadata = read_metadata(path)
    normalization = metadata.normalization if metadata else None
    source = f"tests.attacks.networks:{name}_plain"
    victim = open_sources([source], read_graph(path), normalization, OUR_BATCHES[0])
    assert isinstance(victim, FloatVictim)
    return victim


def compare(
    case: Case, pair: Pair, victim: FloatVictim, rounds: int, clock: Callable[[], float]
) -> dict[str, Any]:
    """Seconds of both sides on one row, and what each asked the network per image."""
    x, y = networks.images(DATA[case.network], case.count)
    targets = fixed_targets(y) if case.targeted else None
    library = getattr(oracles, case.adapter)
    module = oracles.Counted(getattr(networks, f"{case.network}_plain")())
    channels_last = getattr(networks, case.network)()

    def theirs(network: torch.nn.Module, batch: int | None) -> None:
        size = {} if batch is None else {"batch_size": batch}
        library(network, x, y, targets=targets, seed=0, **(case.parameters | size))

    timed = {batch: seconds(partial(theirs, module, batch), rounds, clock) for batch in batches_of(case)}
    batch = min(timed, key=timed.__getitem__)
    calls = rounds * len(timed) * case.count
    asked = (module.forwards / calls, module.gradients / calls)
    last = seconds(partial(theirs, channels_last, batch), rounds, clock)

    attack = attack_of(case, pair, asked[0])
    if hasattr(attack, "max_queries"):
        attack = replace(attack, max_queries=int(asked[0]))
    times = []
    for size in OUR_BATCHES:
        victim.batch_size = size
        problem, _ = problem_of(case, 0, victim)
        times.append(seconds(partial(attack.run, problem), rounds + 1, clock))
    queries = float(attack.run(problem).queries.sum()) / case.count
    return {
        "row": case.key,
        "images": case.count,
        "batch": batch or case.parameters.get("batch_size"),
        "forwards": asked[0],
        "gradients": asked[1],
        "theirs_seconds": timed[batch],
        "theirs_channels_last_seconds": last,
        "queries": queries,
        "ours_seconds": min(times),
        "ratio": timed[batch] / min(times),
        "ratio_channels_last": last / min(times),
        "wanted": pair.faster,
    }


def batches_of(case: Case) -> tuple[int | None, ...]:
    """The batch sizes that a library is tried at; None where it has no choice."""
    if not case.adapter.startswith("art") or "batch_size" in case.parameters:
        return (None,)
    if case.adapter.removeprefix("art_") in ONE_BY_ONE or case.count <= ART_BATCHES[0]:
        return ART_BATCHES[-1:]
    return ART_BATCHES


def line(row: dict[str, Any]) -> str:
    asked = f"{row['forwards']:.0f}/{row['gradients']:.0f}"
    return (
        f"{row['row']:50}{row['images']:7}{row['batch'] or '-':>6}{asked:>11}{row['theirs_seconds']:10.2f}"
        f"{row['theirs_channels_last_seconds']:8.2f}{row['queries']:9.0f}{row['ours_seconds']:8.3f}"
        f"{row['ratio']:7.1f}{row['ratio_channels_last']:7.1f}{row['wanted']:8.0f}"
    )


def seconds(work: Callable[[], object], rounds: int, clock: Callable[[], float]) -> float:
    """The quickest of several runs."""
    times = []
    for _ in range(rounds):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


if __name__ == "__main__":
    main()
