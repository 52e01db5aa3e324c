# SPDX-License-Identifier: Apache-2.0
"""tinyguard bench: instructions or cycles per layer, flash, arena and stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from tinyguard.cli._codegen import codegen_options
from tinyguard.cli._model import image_sizes, model_argument
from tinyguard.cli._options import console, json_option, print_json, progress_console

if TYPE_CHECKING:
    import numpy as np

    from tinyguard.boards import Board
    from tinyguard.codegen import ModelSource, Options
    from tinyguard.graph import Graph
    from tinyguard.measure.bench import Bench


@click.command()
@model_argument
@click.option("--board", required=True, help="Board to measure on (see `tinyguard boards`).")
@click.option("--serial", help="Port of a board that is flashed already, with the same options.")
@click.option("--data", help="Take the first sample of DATA instead of a random one.")
@click.option("--compare", type=click.Path(path_type=Path), help="Show a run written by -o beside this one.")
@click.option("-o", "--out", "output", type=click.Path(path_type=Path), help="Write the run as JSON.")
@codegen_options
@json_option
def command(
    model: Path,
    board: str,
    serial: str | None,
    data: str | None,
    compare: Path | None,
    output: Path | None,
    as_json: bool,
    **options: Unpack[Options],
) -> None:
    """Measure MODEL, a .tflite file, on a board: one inference, whole and layer by layer.

    An emulated board is built, started and stopped again. Hardware is flashed first and given by --serial.
    """
    from tinyguard import boards
    from tinyguard.cli._bench import show
    from tinyguard.codegen import prepare_for
    from tinyguard.data.network_codes import read_codes
    from tinyguard.files import write_atomically
    from tinyguard.measure.bench import random_sample, read_run
    from tinyguard.tflite import read_graph

    chosen = boards.load(board)
    other = read_run(compare) if compare else None
    graph = read_graph(model)
    sample = [read_codes(model, graph, data, 1)[0][0]] if data else random_sample(graph)
    source = prepare_for(graph, chosen, **options)
    with _port(graph, source, chosen, serial, options) as port:
        result = _measure(graph, source, chosen, port, sample)
    if output:
        write_atomically(output, json.dumps(result.as_dict(), indent=2) + "\n")
    if as_json:
        print_json(result.as_dict())
    else:
        show(result, other, console)


@contextmanager
def _port(
    graph: Graph, source: ModelSource, board: Board, serial: str | None, options: Options
) -> Iterator[str]:
    """The port of the board: given, or that of a virtual one."""
    from tinyguard.codegen import build_prepared, default_directory
    from tinyguard.errors import TinyguardError
    from tinyguard.flashing.ports import find_port
    from tinyguard.measure.bench import started

    if serial is not None:
        yield find_port(board.name).port if serial == "auto" else serial
        return
    if board.emulator is None:
        raise TinyguardError(
            f"{board.name} is hardware: type `tinyguard flash MODEL --board {board.name}`, then give --serial"
        )
    with progress_console.status(f"building for {board.title}"):
        directory = default_directory(graph, board, **options)
        image = build_prepared(source, board, directory, options.get("cmsis_nn"))
    with started(image, board) as port:
        yield port


def _measure(graph: Graph, source: ModelSource, board: Board, port: str, sample: list[np.ndarray]) -> Bench:
    from tinyguard.device.client import Device
    from tinyguard.errors import TinyguardError
    from tinyguard.measure.bench import bench

    with Device(port) as device, progress_console.status(f"measuring on {board.title}"):
        description = device.connect(expected_sha256=graph.sha256)
        if description.board != board.name:
            raise TinyguardError(
                f"the board on {port} is {description.board}: give --board {description.board}"
            )
        return bench(device, source, board, sample, image_sizes(graph, port, description)[0])
