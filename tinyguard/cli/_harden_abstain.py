# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden abstain: what thresholds of a stochastic network keep, on clean and attacked data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyguard.cli._model import model_argument
from tinyguard.cli._options import answer_option, console, json_option, print_json

if TYPE_CHECKING:
    from tinyguard.evaluation.abstention import Kept


@click.command()
@model_argument
@click.option("--data", "sets", multiple=True, required=True, metavar="[NAME=]DATA",
              help="Labelled samples, also those of `attack -o`. Several are compared.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="Use the first N samples of each.")
@click.option("-o", "--out", "output", metavar="FILE.png", type=click.Path(path_type=Path), help="Draw it.")
@answer_option
@json_option
def command(
    model: Path,
    sets: tuple[str, ...],
    limit: int | None,
    output: Path | None,
    answer: str | None,
    as_json: bool,
) -> None:
    """Show how often MODEL is right on the answers it keeps, for every `--abstain-above` it could have.

    MODEL is a .tflite file that `tinyguard harden stochastic` wrote.
    """
    from dataclasses import asdict

    from tinyguard.backends.choose import exact_host_backend
    from tinyguard.data.network_codes import read_codes
    from tinyguard.errors import TinyguardError
    from tinyguard.evaluation.abstention import abstention
    from tinyguard.report.abstention_plot import write_abstention
    from tinyguard.report.plot import check_plot
    from tinyguard.tflite import read_graph

    if output is not None:
        check_plot(output)
    graph = read_graph(model, output=answer)
    backend = exact_host_backend(graph)
    curves = {}
    for text in sets:
        name, equals, data = text.partition("=")
        codes, labels = read_codes(model, graph, data if equals else text, limit)
        if labels is None:
            raise TinyguardError(f"{data or text} has no labels: save y beside x")
        curves[name] = abstention(graph, backend, codes, labels)
    if output is not None:
        write_abstention(output, curves)
    if as_json:
        print_json({name: [asdict(point) for point in curve] for name, curve in curves.items()})
    else:
        _show(curves)


def _show(curves: dict[str, tuple[Kept, ...]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("data", "abstain above, bits", "kept", "of those right"):
        table.add_column(column, justify="left" if column == "data" else "right")
    for name, curve in curves.items():
        for point in curve[::2]:
            table.add_row(
                name, f"{point.bits:.3f}", f"{100 * point.kept:.1f} %", f"{100 * point.accuracy:.2f} %"
            )
    console.print(table)
