# SPDX-License-Identifier: Apache-2.0
"""Whether a change made the simulator slower: two checkouts, process after process, the best of each.

    python benchmarks/same_speed.py OLD NEW MODEL... [--rounds 10] [--batch 128] [--threads 1]

OLD and NEW are checkouts; both run with this Python and its packages. Each round starts a process of either
checkout per model, in turn, so that a busy machine harms both; a process works a second and more each way,
and the best pass counts. The ratio is the new checkout's samples per second over the old one's, without a
gradient and with one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

_CHILD = """
import json, sys, time
import numpy as np, torch, tinyguard

path, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
simulator = tinyguard.load(path).simulator
tensor = simulator.graph.tensors[simulator.graph.inputs[0]]
limits = np.iinfo(tensor.dtype)
codes = np.random.default_rng(0).integers(limits.min, limits.max + 1, (batch, *tensor.shape[1:]))
x = torch.from_numpy(codes.astype(np.float32))

def forward():
    with torch.no_grad():
        simulator(x)

def both_ways():
    leaf = x.clone().requires_grad_()
    simulator.logits(leaf).sum().backward()

def best(work):
    work()
    times = []
    while len(times) < 5 or sum(times) < 1:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return batch / min(times)

print(json.dumps([best(forward), best(both_ways)]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(f"{options.threads} threads, batch {options.batch}, best of {options.rounds} rounds; samples/s")
    print(f"{'model':32}{'forward old':>13}{'new':>9}{'ratio':>7}{'fwd+bwd old':>13}{'new':>9}{'ratio':>7}")
    for model in options.models:
        rates: dict[Path, list[list[float]]] = {options.old: [], options.new: []}
        for _ in range(options.rounds):
            for checkout, found in rates.items():
                found.append(measured(checkout, model, options.batch, options.threads))
        old, new = (list(map(max, zip(*found, strict=True))) for found in rates.values())
        columns = zip(old, new, strict=True)
        print(f"{model.name:32}" + "".join(f"{a:13.0f}{b:9.0f}{b / a:7.2f}" for a, b in columns), flush=True)


def measured(checkout: Path, model: Path, batch: int, threads: int) -> list[float]:
    """Samples per second forward, and forward and backward, of a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, "-c", _CHILD, str(model.resolve()), str(batch), str(threads)]
    done = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
