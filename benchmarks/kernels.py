# SPDX-License-Identifier: Apache-2.0
"""The README's kernel table: instructions per inference of three networks on three emulated cores.

    python benchmarks/kernels.py --models DIR [--cmsis-nn DIR] [--json FILE]

DIR of the models holds the MLPerf Tiny files named below. With CMSIS-NN (or CMSIS_NN_ROOT) its kernels
are measured in the same run, built by you with -Ofast; without, the published counts stand in.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tinyguard.backends.reference import ReferenceBackend
from tinyguard.boards import load
from tinyguard.codegen import Options, build_prepared, prepare_for
from tinyguard.device.client import Device
from tinyguard.graph import Graph
from tinyguard.measure.bench import bench, started
from tinyguard.operators import resolve
from tinyguard.tflite import read_graph
from tinyguard.toolchain.link_map import network_flash_bytes

CORES = {"M4": "mps2-an386", "M7": "mps2-an500", "M55": "mps3-an547"}
NETWORKS = {
    "ResNet-8": "pretrainedResnet_quant.tflite",
    "VWW": "vww_96_int8.tflite",
    "KWS": "kws_ref_model.tflite",
}
# CMSIS-NN 99f736a, -Ofast, gcc 12.2, QEMU 7.2: instructions, flash and arena in bytes
PUBLISHED = {
    ("ResNet-8", "M4"): (29_866_709, 103_216, 49_728),
    ("ResNet-8", "M7"): (29_914_774, 103_636, 49_728),
    ("ResNet-8", "M55"): (4_804_365, 96_368, 49_728),
    ("VWW", "M4"): (24_710_645, 270_556, 64_512),
    ("VWW", "M7"): (24_473_997, 270_844, 64_512),
    ("VWW", "M55"): (6_423_247, 264_796, 64_512),
    ("KWS", "M4"): (7_840_938, 55_004, 16_000),
    ("KWS", "M7"): (7_756_839, 55_292, 16_000),
    ("KWS", "M55"): (1_780_723, 49_136, 20_464),
}
SAMPLES = 2
TOLERANCE = 20  # instructions: what the counter is exact to


@dataclass(frozen=True)
class Figures:
    """One network on one core. `flash_bytes`: kernels, constants and startup, without the protocol."""

    network: str
    core: str
    kernels: str  # "CMSIS-NN", "speed" or "size"
    macs: int
    instructions: int
    flash_bytes: int
    arena_bytes: int
    stack_bytes: int
    differing_bytes: int | None  # None: published, not measured here
    layers: dict[str, int]  # instructions by the layer's name


def measure(network: str, core: str, graph: Graph, kernels: str, options: Options, folder: Path) -> Figures:
    """Build, run random samples, compare every byte with the reference, and count."""
    board = load(CORES[core])
    source = prepare_for(graph, board, **options)
    image = build_prepared(source, board, folder, options.get("cmsis_nn"))
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    codes = np.random.default_rng(0).integers(-128, 128, (SAMPLES, *shape)).astype(np.int8)
    with started(image, board) as port, Device(port) as device:
        device.connect(graph.sha256)
        run = bench(device, source, board, [codes[0]], image.flash_bytes)
        outputs = device.run(codes).outputs
    expected = ReferenceBackend(graph).run(codes)
    differing = sum(int((a != b).sum()) for a, b in zip(outputs, expected, strict=True))
    return Figures(
        network=network,
        core=core,
        kernels=kernels,
        macs=sum(operator.macs for operator in resolve(graph)),
        instructions=run.per_inference,
        flash_bytes=network_flash_bytes(folder),
        arena_bytes=run.arena_bytes,
        stack_bytes=run.inference_stack_bytes,
        differing_bytes=differing,
        layers={layer.name: layer.count for layer in run.layers},
    )


def published(network: str, core: str, graph: Graph) -> Figures:
    """CMSIS-NN's known figures, where it is not here to be measured."""
    instructions, flash_bytes, arena_bytes = PUBLISHED[network, core]
    macs = sum(operator.macs for operator in resolve(graph))
    return Figures(network, core, "CMSIS-NN", macs, instructions, flash_bytes, arena_bytes, 0, None, {})


def figures(models: Path, cmsis_nn: Path | None, networks: list[str], cores: list[str]) -> Iterator[Figures]:
    """All of the table, row by row."""
    ways: dict[str, Options] = {"speed": {"optimize": "speed"}, "size": {"optimize": "size"}}
    if cmsis_nn:
        ways = {"CMSIS-NN": {"kernels": "cmsis-nn", "cmsis_nn": cmsis_nn, "passes": False}, **ways}
    for network in networks:
        graph = read_graph(models / NETWORKS[network])
        for core in cores:
            if not cmsis_nn:
                yield published(network, core, graph)
            for kernels, options in ways.items():
                with tempfile.TemporaryDirectory(prefix="tinyguard-") as folder:
                    print(f"{network} on {core}, {kernels}", file=sys.stderr)
                    yield measure(network, core, graph, kernels, options, Path(folder) / "project")


def table(found: list[Figures]) -> str:
    """Markdown: ratios are CMSIS-NN's instructions by ours."""
    lines = [
        "| network | core | kernels | instructions | per MAC | faster | flash B | arena B | stack B "
        "| differing bytes |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    base = {(f.network, f.core): f.instructions for f in found if f.kernels == "CMSIS-NN"}
    for row in found:
        faster = base[row.network, row.core] / row.instructions
        ours = row.kernels != "CMSIS-NN"
        lines.append(
            f"| {row.network} | {row.core} | {f'tinyguard, {row.kernels}' if ours else row.kernels} "
            f"| {row.instructions:,} | {row.instructions / row.macs:.2f} "
            f"| {f'**{faster:.2f}x**' if ours else ''} | {row.flash_bytes:,} | {row.arena_bytes:,} "
            f"| {f'{row.stack_bytes:,}' if row.stack_bytes else '-'} "
            f"| {'published' if row.differing_bytes is None else row.differing_bytes} |"
        )
    return "\n".join(lines)


def slower_layers(found: list[Figures]) -> list[str]:
    """Layers that take more instructions than CMSIS-NN's, where that was measured."""
    base = {(f.network, f.core): f.layers for f in found if f.kernels == "CMSIS-NN"}
    return [
        f"{row.network} on {row.core}, {row.kernels}: {name} takes {count:,}, CMSIS-NN {theirs:,}"
        for row in found
        for name, count in row.layers.items()
        if (theirs := base[row.network, row.core].get(name)) is not None and count > theirs + TOLERANCE
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Instructions per inference, against CMSIS-NN.")
    parser.add_argument("--models", type=Path, required=True, help="folder of the MLPerf Tiny .tflite files")
    parser.add_argument("--cmsis-nn", type=Path, default=os.environ.get("CMSIS_NN_ROOT"))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--cores", nargs="+", choices=CORES, default=list(CORES))
    parser.add_argument("--json", type=Path, help="write the figures here too")
    chosen = parser.parse_args()
    root = Path(chosen.cmsis_nn) if chosen.cmsis_nn else None
    found = list(figures(chosen.models, root, chosen.networks, chosen.cores))
    print(table(found))
    if root:
        slower = slower_layers(found)
        print("\nLayers slower than CMSIS-NN's:", "none" if not slower else "")
        print("\n".join(f"- {line}" for line in slower))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(row) for row in found], indent=2) + "\n")
    if any(row.differing_bytes for row in found):
        raise SystemExit("outputs differ from the reference")


if __name__ == "__main__":
    main()
