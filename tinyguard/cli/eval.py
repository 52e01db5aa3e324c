# SPDX-License-Identifier: Apache-2.0
"""tinyguard eval: accuracy, agreement and cost on the host or on a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyguard.cli._exit_options import policy_in, policy_option, thresholds_option
from tinyguard.cli._model import board_port, image_sizes, model_argument
from tinyguard.cli._options import answer_option, console, json_option, print_json
from tinyguard.cli._progress import sample_progress
from tinyguard.graph.exit_policy import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from rich.table import Table

    from tinyguard.evaluation import Evaluation
    from tinyguard.exits.figures import PolicyFigures
    from tinyguard.graph import Graph

_RUNS = Path(".tinyguard") / "runs"


@click.command()
@model_argument
@click.option("--data", required=True, help="digits, mnist, cifar10, an .npz or a folder of class folders.")
@click.option("--backend", default=None, help="simulator (default), litert, reference or compiled.")
@click.option("--serial", help="Port of a board: device path, PTY or any pyserial URL; `auto` finds it.")
@click.option("--limit", type=click.IntRange(min=1), help="Use the first N samples only.")
@answer_option
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give a setting of the network a value, an array as NAME=1,2,3; repeatable.",
)
@policy_option
@thresholds_option
@click.option("--exit", "only", type=int, metavar="N", help="Exit N alone answers, from 1.")
@click.option("--resume", is_flag=True, help="Take up an interrupted run on a board where it stopped.")
@json_option
def command(
    model: Path,
    data: str,
    backend: str | None,
    serial: str | None,
    limit: int | None,
    answer: str | None,
    given: tuple[str, ...],
    kind: str | None,
    thresholds: str | None,
    only: int | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Evaluate MODEL, a .tflite file, on DATA.

    Every result is compared with the exact host simulation, byte for byte. Accuracy needs labels, and an
    output that says a class: of several, the one that --output names. A network's settings, such as the seed
    of a stochastic one, are those of the file, or on a board those in force there, unless --set gives others;
    what a board would draw at random is the file's for as long as this takes.

    Of a network with several exits every exit is shown: who left there, and how right it would be of all
    samples. --policy with --thresholds, or --exit, holds for this run alone.
    """
    from dataclasses import replace

    from tinyguard.data.network_codes import read_codes
    from tinyguard.evaluation.in_force import policy_in_force, settings_in_force
    from tinyguard.graph import with_settings
    from tinyguard.graph.answer import check_answer
    from tinyguard.graph.settings import parse_value
    from tinyguard.tflite import read_graph

    if serial is not None and backend is not None:
        raise click.UsageError("--serial runs the board, --backend the host: give one of them")
    graph = read_graph(model, output=answer)
    codes, labels = read_codes(model, graph, data, limit)
    if labels is not None:
        check_answer(graph)
    policy = policy_in(graph, kind, thresholds, only)
    typed = dict(map(parse_value, given))
    lent = {} if policy is None else policy.values()
    if not lent.keys().isdisjoint(typed):
        raise click.UsageError("--set and --policy or --exit set the same: give one of them")
    used = with_settings(graph, typed | lent)
    if serial is not None:
        used, result = _on_board(graph, typed, lent, serial, codes, labels, resume)
    else:
        result = _on_host(model, used, backend or "simulator", codes, labels)
    result = replace(result, settings=settings_in_force(used, graph), policy=policy_in_force(used, graph))
    if as_json:
        print_json(result.as_dict())
    else:
        _show(result)


def _on_host(
    model: Path, graph: Graph, name: str, codes: np.ndarray, labels: np.ndarray | None
) -> Evaluation:
    from tinyguard.backends.choose import exact_host_backend, open_backend
    from tinyguard.evaluation import evaluate_host

    exact = exact_host_backend(graph)
    backend = exact if name == "simulator" else open_backend(name, model, graph)
    with sample_progress(name, len(codes)) as update:
        return evaluate_host(graph, backend, exact, codes, labels, update)


def _on_board(
    graph: Graph,
    values: Mapping[str, tuple[int, ...]],
    lent: Mapping[str, tuple[int, ...]],
    serial: str,
    codes: np.ndarray,
    labels: np.ndarray | None,
    resume: bool,
) -> tuple[Graph, Evaluation]:
    """With the network as it ran: `graph` under the settings in force on the board, which has `lent` for this
    run alone."""
    from dataclasses import replace

    from tinyguard.backends.choose import exact_host_backend
    from tinyguard.backends.device import agreed, borrowed
    from tinyguard.device.client import Device
    from tinyguard.errors import TinyguardError
    from tinyguard.evaluation import RunRecord, evaluate_device, run_key

    port = board_port(serial)
    with Device(port) as device:
        description = device.connect(expected_sha256=graph.sha256)
        used, before = agreed(device, graph, values, lent)
        in_force = [f"{setting.name}={setting.value}" for setting in used.settings]
        image = (description.board, description.build)
        record = RunRecord(_RUNS, run_key(graph.sha256, codes.tobytes(), *image, *in_force))
        done = record.load() if resume else 0
        try:
            with borrowed(device, before), sample_progress(description.board, len(codes), done) as update:
                exact = exact_host_backend(used)
                result = evaluate_device(used, device, exact, codes, labels, record, update)
        except (TinyguardError, KeyboardInterrupt) as error:
            kept = f"{len(record.outputs)} of {len(codes)} samples are kept; repeat the command with --resume"
            if isinstance(error, KeyboardInterrupt):
                raise TinyguardError(f"interrupted; {kept}") from None
            raise TinyguardError(f"{error} ({kept})") from None
    record.discard()
    flash_bytes, ram_bytes = image_sizes(graph, port, description)
    return used, replace(result, flash_bytes=flash_bytes, ram_bytes=ram_bytes)


def _show(result: Evaluation) -> None:
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _rows(result):
        table.add_row(name, value)
    console.print(table)
    if result.exits is not None:
        console.print(_exits_table(result.exits))
    if result.agreement.differing_bytes:
        console.print("`tinyguard diff` names the first layer that differs")


def _rows(result: Evaluation) -> Iterator[tuple[str, str]]:
    yield "samples", f"{result.samples:,}"
    yield "back end", result.backend
    if result.output is not None:
        yield "output", result.output
    if result.policy is not None:
        yield "policy", str(result.policy)
    if result.accuracy is None:
        yield "accuracy", "none: the data have no labels"
    else:
        yield "accuracy", f"{100 * result.accuracy:.2f} %"
        yield "host accuracy", f"{100 * (result.host_accuracy or 0):.2f} %"
    if result.flags is not None:
        yield "flagged", f"{100 * result.flags.share:.2f} %"
        if result.flags.accuracy_of_kept is not None:
            yield "accuracy of the rest", f"{100 * result.flags.accuracy_of_kept:.2f} %"
    stated = [f"{name} {value}" for name, value in (result.settings or {}).items() if name not in SETTINGS]
    if stated:
        yield "settings", ", ".join(stated)
    agreement = result.agreement
    style = "green" if agreement.differing_bytes == 0 else "bold red"
    yield "differing bytes", f"[{style}]{agreement.differing_bytes:,}[/]"
    if agreement.differing_predictions is not None:
        yield "differing predictions", f"[{style}]{agreement.differing_predictions:,}[/]"
    yield from _cost_rows(result)
    yield "throughput", f"{result.samples_per_second:,.1f} samples/s"
    for name, value in (
        ("flash", result.flash_bytes),
        ("RAM", result.ram_bytes),
        ("stack used", result.stack_bytes),
    ):
        if value is not None:
            yield name, f"{value:,} bytes"


def _cost_rows(result: Evaluation) -> Iterator[tuple[str, str]]:
    exits = result.exits
    if result.per_inference is not None:
        ends = f"{result.per_inference_min:,} to {result.per_inference_max:,}"
        yield f"{result.unit} per inference", f"{result.per_inference:,.0f} ({ends})"
    elif exits is not None:
        costs = [place.cost for place in exits.exits if place.share]
        ends = f"{min(costs):,} to {max(costs):,}"
        yield f"{exits.unit} per inference", f"{exits.mean_cost:,.0f} ({ends})"
    if exits is not None:
        yield "saved", f"{100 * exits.saving:.1f} % of the last exit's"
        yield "mean exit", f"{exits.mean_exit:.3f}"
        yield "efficacy", f"{exits.efficacy:.4f}"


def _exits_table(figures: PolicyFigures) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in (
        "exit",
        "left here",
        "right of these",
        "right of all",
        f"{figures.unit} when leaving here",
    ):
        table.add_column(column, justify="left" if column == "exit" else "right")
    for number, place in enumerate(figures.exits, start=1):
        shares = (
            "" if share is None else f"{100 * share:.2f} %"
            for share in (place.share, place.accuracy, place.anytime)
        )
        table.add_row(str(number), *shares, f"{place.cost:,}")
    return table
