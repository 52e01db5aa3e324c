# SPDX-License-Identifier: Apache-2.0
"""The simulator's throughput beside LiteRT's reference kernels, in one run, on the same cores.

    python benchmarks/simulator.py [--threads 2] [--batch 128] [--rounds 8] [model.tflite ...]

Without models: the ResNet-8 and the DS-CNN of $TINYGUARD_SHARED/models (../shared beside the checkout).
Each round measures all three in turn and the best round counts, so that a busy machine harms none of
them alone. LiteRT runs one sample at a time, as it does; the simulator a batch. Outputs are compared
in every byte on all samples that LiteRT ran.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph

MODELS = ("pretrainedResnet_quant.tflite", "kws_ref_model.tflite")
SHARED = Path(__file__).resolve().parents[2] / "shared"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shared = Path(os.environ.get("TINYGUARD_SHARED", SHARED))
    print(f"{options.threads} threads, batch {options.batch}, best of {options.rounds} rounds; samples/s")
    print(f"{'model':32}{'LiteRT ref':>11}{'simulator':>11}{'ratio':>7}{'fwd+bwd':>9}{'/ fwd':>7}  bytes")
    for path in options.models or [shared / "models" / name for name in MODELS]:
        print(measure(path, options.batch, options.rounds), flush=True)


def measure(path: Path, batch: int, rounds: int) -> str:
    """One line of the table."""
    content = path.read_bytes()
    graph = read_graph(content)
    reference, simulator = LiteRTBackend(content), Simulator(graph, batch_size=batch)
    tensor = graph.tensors[graph.inputs[0]]
    limits = np.iinfo(tensor.dtype)
    codes = np.random.default_rng(0).integers(limits.min, limits.max + 1, (batch, *tensor.shape[1:]))
    codes = codes.astype(tensor.dtype)
    x = torch.from_numpy(codes.astype(np.float32))

    def both_ways() -> None:
        leaf = x.clone().requires_grad_()
        simulator.logits(leaf).sum().backward()

    def forward() -> None:
        with torch.no_grad():
            simulator(x)

    different = sum(
        int((ours != theirs).sum())
        for ours, theirs in zip(simulator.run(codes), reference.run(codes), strict=True)
    )
    both_ways()
    times = [
        (seconds(lambda: reference.run(codes[:32])) / 32, *(seconds(f) / batch for f in (forward, both_ways)))
        for _ in range(rounds)
    ]
    one, ours, gradient = (min(column) for column in zip(*times, strict=True))
    rates = f"{1 / one:11.0f}{1 / ours:11.0f}{one / ours:7.1f}{1 / gradient:9.0f}{gradient / ours:7.2f}"
    return f"{path.name:32}{rates}  {different} differ"


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
