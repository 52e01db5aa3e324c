# SPDX-License-Identifier: Apache-2.0
"""tinyguard diff: every tensor on two sides, and the first layer that differs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyguard.cli._model import board_port, model_argument
from tinyguard.cli._options import console, json_option, print_json

if TYPE_CHECKING:
    import numpy as np

    from tinyguard.evaluation import LayerDifference
    from tinyguard.graph import Graph


@click.command()
@model_argument
@click.option("--serial", help="Port of a board to compare with the host.")
@click.option(
    "--backend",
    type=click.Choice(["simulator", "litert", "reference", "compiled"]),
    help="Host back end to compare with the NumPy reference; the default is litert.",
)
@click.option("--data", help="Take the sample from DATA; without it the input is random.")
@click.option("--sample", type=click.IntRange(min=0), default=0, show_default=True, help="Which of DATA.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random input.")
@json_option
def command(
    model: Path,
    serial: str | None,
    backend: str | None,
    data: str | None,
    sample: int,
    seed: int,
    as_json: bool,
) -> None:
    """Compare every tensor of MODEL with the exact NumPy reference, layer by layer, on one sample.

    Exit status 2 when something differs.
    """
    from tinyguard.evaluation import differences
    from tinyguard.evaluation.traces import random_inputs, trace_device, trace_host
    from tinyguard.tflite import read_graph

    if serial is not None and backend is not None:
        raise click.UsageError("--serial runs the board, --backend the host: give one of them")
    graph = read_graph(model)
    inputs = _sample(model, graph, data, sample) if data else random_inputs(graph, seed)
    if serial is not None:
        from tinyguard.device.client import Device

        with Device(board_port(serial)) as device:
            device.connect(expected_sha256=graph.sha256)
            graph, traced = trace_device(device, graph, inputs)
    else:
        traced = trace_host(backend or "litert", model, graph, inputs)
    expected = trace_host("reference", model, graph, inputs)
    rows = list(differences(graph, expected, traced))
    first = next((row for row in rows if row.differing), None)
    if as_json:
        print_json({"first": None if first is None else asdict(first), "layers": [asdict(r) for r in rows]})
    else:
        _show(rows, first)
    if first is not None:
        raise SystemExit(2)


def _sample(model: Path, graph: Graph, data: str, sample: int) -> tuple[np.ndarray, ...]:
    from tinyguard.data.network_codes import read_codes
    from tinyguard.errors import TinyguardError

    codes, _ = read_codes(model, graph, data, sample + 1)
    if len(codes) <= sample:
        raise TinyguardError(f"{data} has {len(codes)} samples; --sample {sample} is not there")
    return (codes[sample : sample + 1],)


def _show(rows: list[LayerDifference], first: LayerDifference | None) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("layer", "operator", "differing", "of", "largest", "how"):
        table.add_column(name, justify="right" if name in ("layer", "differing", "of", "largest") else "left")
    for row in rows:
        style = "" if row.differing == 0 else ("bold red" if row is first else "yellow")
        values = (row.layer, row.operator, f"{row.differing:,}", f"{row.elements:,}", f"{row.largest:g}")
        table.add_row(*map(str, values), row.how, style=style)
    console.print(table)
    if first is None:
        console.print(f"[green]all {len(rows)} tensors are equal in every byte[/]")
        return
    console.print(
        f"first difference: layer {first.layer} {first.operator} '{escape(first.name)}', element "
        f"{first.where}: expected {first.expected:g}, found {first.found:g}; {first.how}"
    )
