# SPDX-License-Identifier: Apache-2.0
"""tinyguard build: a network to a C project and, for a board, to a linked image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from tinyguard.cli._codegen import codegen_options
from tinyguard.cli._options import console, json_option, print_json

if TYPE_CHECKING:
    from tinyguard.codegen import Options
    from tinyguard.graph import Graph


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--board",
    help="Board to build for (see `tinyguard boards`); a library without one is portable C.",
)
@click.option(
    "-o", "--out", "output", type=click.Path(path_type=Path), help="Folder of the generated project."
)
@click.option(
    "--as",
    "kind",
    type=click.Choice(["firmware", "library"]),
    default="firmware",
    show_default=True,
    help="Whole firmware, or the network alone with tg_model.h and a CMake file.",
)
@click.option(
    "--prefix",
    metavar="NAME",
    help="Names of the library begin with it in place of tg_model: several fit in one firmware.",
)
@codegen_options
@json_option
def command(
    model: Path,
    board: str | None,
    output: Path | None,
    kind: str,
    prefix: str | None,
    as_json: bool,
    **options: Unpack[Options],
) -> None:
    """Generate C for MODEL, a .tflite file, and build it.

    The project needs only `make` and arm-none-eabi-gcc from then on: carry it wherever you like.
    """
    from tinyguard.tflite import read_graph

    graph = read_graph(model)
    if kind == "library":
        if options.get("kernels") == "cmsis-nn":
            raise click.UsageError("--as library prints builtin kernels only; leave --kernels out")
        _library(graph, board, output or Path(f"{prefix or model.stem}-library"), prefix, as_json, options)
    elif prefix is not None:
        raise click.UsageError("--prefix names a library; add --as library")
    elif board is None:
        raise click.UsageError("--board is needed; `tinyguard boards` lists them")
    else:
        _firmware(graph, board, output, as_json, options)


def _library(
    graph: Graph, name: str | None, output: Path, prefix: str | None, as_json: bool, options: Options
) -> None:
    from tinyguard.boards import load
    from tinyguard.codegen import generate_library, target_of
    from tinyguard.codegen.library_names import renamed
    from tinyguard.operators import Target

    goal = options.get("optimize", "balanced")
    target = target_of(load(name), goal) if name else Target(optimize=goal)
    source = generate_library(
        graph,
        output,
        target,
        prefix,
        flash_budget=options.get("flash_budget"),
        rewrite=options.get("passes", True),
    )
    result = {
        "directory": str(output),
        "constant_bytes": source.constant_bytes,
        "arena_bytes": source.plan.arena_bytes,
    }
    if as_json:
        print_json(result)
        return
    words = renamed("include tg_model.h, link tg_model (CMake) or libtg_model.a", prefix)
    console.print(f"library in [bold]{output}[/]: {words}")
    console.print(
        f"constants {source.constant_bytes:,} bytes, arena {source.plan.arena_bytes:,} bytes; no heap"
    )


def _firmware(graph: Graph, name: str, output: Path | None, as_json: bool, options: Options) -> None:
    from tinyguard.boards import load
    from tinyguard.codegen import build_image, default_directory

    board = load(name)
    directory = output or default_directory(graph, board, **options)
    image = build_image(graph, board, directory, **options)
    constants, arena, link, stack = (
        image.sections.get(name, 0) for name in (".tg_constants", ".tg_arena", ".tg_link", ".tg_stack")
    )
    result = {
        "board": board.name,
        "directory": str(directory),
        "image": str(image.elf),
        "flash_bytes": image.flash_bytes,
        "ram_bytes": image.ram_bytes,
        "constant_bytes": constants,
        "arena_bytes": arena,
        "sha256": image.sha256,
    }
    if as_json:
        print_json(result)
        return
    console.print(f"image [bold]{image.elf}[/] for {board.title}")
    console.print(
        f"flash {image.flash_bytes:,} bytes ({constants:,} constants), "
        f"RAM {image.ram_bytes:,} bytes (arena {arena:,}, link {link:,}, stack {stack:,})"
    )
    console.print(f"next: tinyguard flash MODEL --board {board.name}")
