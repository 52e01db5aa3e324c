# SPDX-License-Identifier: Apache-2.0
"""`tinyguard attack --replay`: stored inputs, scored again and compared with the exact host network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinyguard.cli._attack_form import Form
from tinyguard.cli._model import board_port
from tinyguard.cli._options import console, print_json

if TYPE_CHECKING:
    from tinyguard.robustness.stored_inputs import Replay

OPTIONS = (
    click.Option(
        ["--replay"],
        metavar="ADV.NPZ",
        type=click.Path(path_type=Path),
        help="Score stored inputs on a back end or board and compare with the exact host network.",
    ),
)


def run_replay(values: Mapping[str, Any]) -> None:
    """Replay as typed and print the figures."""
    from tinyguard.backends.choose import exact_host_backend
    from tinyguard.cli._progress import sample_progress
    from tinyguard.robustness.attacked_network import open_scored
    from tinyguard.robustness.stored_inputs import check_stored, load_adversarial, replay
    from tinyguard.tflite import read_graph

    model, serial = values["model"], values["serial"]
    graph = read_graph(model, output=values["answer"])
    stored = load_adversarial(values["replay"])
    check_stored(stored, graph)
    exact = exact_host_backend(graph)
    name = board_port(serial) if serial is not None else values["backend"] or "simulator"
    scored = exact if name == "simulator" else open_scored(name, model, graph)
    with sample_progress(scored.name, len(stored.y)) as update:
        result = replay(stored, graph, scored, exact, update)
    if values["as_json"]:
        print_json(result.as_dict())
    else:
        show_replay(result)


def show_replay(result: Replay) -> None:
    """A replay's figures as a table."""
    from rich.table import Table

    samples, apart = result.samples, result.differing_predictions
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("samples", f"{samples:,}")
    table.add_row("back end", result.backend)
    style = "green" if result.agreement.differing_bytes == 0 else "bold red"
    share = 100 * (1 - apart / samples)
    table.add_row("agreement with the host", f"[{style}]{share:.2f} %[/] ({samples - apart} of {samples})")
    table.add_row("differing bytes", f"[{style}]{result.agreement.differing_bytes:,}[/]")
    table.add_row("accuracy", f"{100 * result.accuracy:.2f} %")
    table.add_row("successes that hold", f"{result.survived:,} of {result.successes:,}")
    if result.mean_exit is not None:
        table.add_row(
            "mean exit", f"{result.mean_exit:.3f}, elsewhere than on the host {result.differing_exits:,}"
        )
    if result.per_inference is not None:
        table.add_row(f"{result.unit} per inference", f"{result.per_inference:,.0f} in the mean")
    console.print(table)
    if result.same_model is False:
        console.print("the inputs were found on another network; the host is this one")
    if "XNNPACK" in result.backend:
        console.print("the default interpreter rounds otherwise than the device: its figures do not count")
    elif result.agreement.differing_bytes:
        console.print("`tinyguard diff` names the first layer that differs")


FORM = Form(
    "Stored inputs",
    "replay",
    "scores stored inputs again and searches for none: leave it out",
    OPTIONS,
    frozenset({"model", "backend", "serial", "answer"}),
    run_replay,
)
