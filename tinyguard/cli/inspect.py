# SPDX-License-Identifier: Apache-2.0
"""tinyguard inspect: what a network is made of, what of it runs, and what it takes on a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click
from rich.markup import escape
from rich.table import Table

from tinyguard.cli._codegen import codegen_options
from tinyguard.cli._options import console, json_option, print_json

if TYPE_CHECKING:
    from tinyguard.boards import Board
    from tinyguard.codegen import Options


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--board", help="Board to fit the network to (see `tinyguard boards`).")
@click.option(
    "--memory", type=click.Path(path_type=Path), help="Draw the arena over time into an .svg or .png file."
)
@codegen_options
@json_option
def command(
    model: Path, board: str | None, memory: Path | None, as_json: bool, **options: Unpack[Options]
) -> None:
    """Show layers, sizes and everything unsupported of MODEL, a .tflite file, without compiling."""
    from tinyguard.boards import load
    from tinyguard.cli._inspection import inspection

    chosen = load(board) if board else None
    figures = inspection(model, chosen, **options)
    if as_json:
        print_json(figures)
    else:
        _show(model, figures)
    if memory:
        _draw(model, chosen, memory, options, quiet=as_json)


def _draw(model: Path, board: Board | None, path: Path, options: Options, quiet: bool) -> None:
    from tinyguard.codegen import prepare_for
    from tinyguard.report.memory_map import memory_svg
    from tinyguard.report.memory_text import memory_text
    from tinyguard.report.picture import write_picture
    from tinyguard.tflite import read_graph

    source = prepare_for(read_graph(model), board, **options)
    title = f"{model.name} on {board.name}" if board else model.name
    write_picture(path, memory_svg(source, title))
    if not quiet:
        console.print(memory_text(source, console.width))
        console.print(f"arena over time: {escape(str(path))}", soft_wrap=True)


def _show(model: Path, figures: dict[str, Any]) -> None:
    console.print(f"{escape(str(model))}  sha256 {figures['sha256'][:16]}")
    _show_layers(figures["layers"], figures["stages"])
    for role in ("inputs", "outputs"):
        for tensor in figures[role]:
            meaning = f", {tensor['role']}: {tensor['meaning']}" if "role" in tensor else ""
            console.print(f"{role[:-1]:7}{_describe(tensor)}{meaning}", soft_wrap=True)
    if figures["policy"]:
        console.print(f"exits  {len(figures['stages'])}, policy {figures['policy']}")
    if figures["normalization"]:
        mean, std = figures["normalization"]["mean"], figures["normalization"]["std"]
        console.print(f"pixels: real = (pixel - {_numbers(mean)}) / {_numbers(std)}")
    if figures["class_names"]:
        console.print(escape(f"classes: {', '.join(figures['class_names'])}"))
    console.print(
        f"MACs {_count(figures['macs'])}, parameters {_count(figures['parameters'])}, "
        f"weights {_count(figures['weights_bytes'])} bytes, arena {_count(figures['arena_bytes'])} bytes"
    )
    if "board" in figures:
        _show_board(figures)
    if figures["unsupported"]:
        console.print(f"[red]{len(figures['unsupported'])} unsupported:[/]")
        for problem in figures["unsupported"]:
            console.print(f"  {escape(problem)}", soft_wrap=True)


def _show_layers(layers: list[dict[str, Any]], stages: list[dict[str, Any]]) -> None:
    """A row for each layer, and after the layers of a stage one for the stage."""
    ends: dict[int, dict[str, Any]] = {}
    for stage in stages:
        ends[max(ends, default=0) + stage["layers"]] = stage
    sizes = ("macs", "weights_bytes")
    table = Table("", "operator", "layer", "output", box=None, pad_edge=False)
    for title in ("MACs", "weights"):
        table.add_column(title, justify="right")
    for index, layer in enumerate(layers):
        table.add_row(
            str(index),
            layer["operator"],
            escape(_short(layer["name"])),
            _shape(layer["shape"]),
            _count(layer["macs"]),
            _count(layer["weights_bytes"]),
        )
        if index + 1 in ends:
            whole = ends[index + 1]
            table.add_row("", whole["name"], "", "", *(_count(whole[size]) for size in sizes), style="bold")
    console.print(table)


def _show_board(figures: dict[str, Any]) -> None:
    console.print(
        f"on {figures['board']}: constants {_count(figures['constant_bytes'])} bytes, "
        f"RAM {_count(figures['ram_bytes'])} bytes, flash {_count(figures['flash_bytes'])} bytes"
    )
    if figures["refusal"]:
        console.print(f"[red]{escape(figures['refusal'])}[/]", soft_wrap=True)
    elif figures["fits"]:
        console.print("fits")
    elif figures["constant_bytes"] is not None:
        console.print(f"code size is known after `tinyguard build MODEL --board {figures['board']}`")


def _describe(tensor: dict[str, Any]) -> str:
    text = f"{tensor['name']}  {tensor['dtype']} {_shape(tensor['shape'])}"
    if tensor["scale"] is not None:
        text += f"  scale {tensor['scale']:.6g}, zero point {tensor['zero_point']}"
    return escape(text)


def _short(name: str) -> str:
    """Converters join the names of fused layers with semicolons; the first tells enough."""
    first = name.split(";")[0]
    return first if len(first) <= 44 else f"...{first[-41:]}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
