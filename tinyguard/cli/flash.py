# SPDX-License-Identifier: Apache-2.0
"""`tinyguard flash`: a network onto a board, emulated or real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from tinyguard.cli._codegen import codegen_options
from tinyguard.cli._options import console, json_option, print_json, progress_console

if TYPE_CHECKING:
    from tinyguard.codegen import Options


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--board", required=True, help="Board to flash (see `tinyguard boards`).")
@click.option("--port", help="Serial port the board answers on; found by its USB ids when left out.")
@click.option("--runner", help="How to flash; default: the board's first (see `tinyguard boards NAME`).")
@click.option("--dry-run", is_flag=True, help="Build, then print the command instead of running it.")
@click.option(
    "-o", "--out", "output", type=click.Path(path_type=Path), help="Folder of the generated project."
)
@codegen_options
@json_option
def command(
    model: Path,
    board: str,
    port: str | None,
    runner: str | None,
    dry_run: bool,
    output: Path | None,
    as_json: bool,
    **options: Unpack[Options],
) -> None:
    """Build MODEL, a .tflite file, for a board, put it there, verify and reset.

    An emulated board starts in the background: its serial port is printed, `tinyguard stop` ends it.
    """
    from tinyguard import boards, flashing
    from tinyguard.codegen import build_image, default_directory
    from tinyguard.tflite import read_graph

    chosen = boards.load(board)
    flashing.check_runner(chosen, runner)
    graph = read_graph(model)
    with progress_console.status(f"building for {chosen.title}") as status:
        directory = output or default_directory(graph, chosen, **options)
        image = build_image(graph, chosen, directory, **options)
        status.update(f"flashing {chosen.title}")
        result = flashing.flash(
            image,
            chosen,
            runner=runner,
            port=port,
            dry_run=dry_run,
            progress=lambda line: status.update(line) if line else None,
        )
    if as_json:
        print_json(result)
    elif dry_run:
        _show_plan(result)
    else:
        _show_done(result, model)


def _show_plan(result: dict[str, Any]) -> None:
    click.echo(result["command"])
    console.print(f"image {result['image']}", soft_wrap=True)
    console.print(f"flash {result['flash_bytes']:,} bytes at 0x{result['address']:08x}")
    console.print(f"RAM {result['ram_bytes']:,} bytes")
    console.print(f"sha256 {result['sha256']}")


def _show_done(result: dict[str, Any], model: Path) -> None:
    how = (
        "runs in QEMU" if result["runner"] == "emulator" else f"programmed and verified by {result['runner']}"
    )
    console.print(f"{result['board']}: {how}, serial port {result['port'] or 'not found by USB ids'}")
    console.print(f"flash {result['flash_bytes']:,} bytes, RAM {result['ram_bytes']:,} bytes")
    if result["port"]:
        console.print(f"next: tinyguard eval {model} --data DATA --serial {result['port']}", soft_wrap=True)
    if "pid" in result:
        console.print(f"to end it: tinyguard stop {result['port']}")
