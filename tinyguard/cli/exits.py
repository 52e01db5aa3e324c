# SPDX-License-Identifier: Apache-2.0
"""tinyguard exits: the exits of a network, when each answers, and thresholds from data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinyguard.cli._exit_options import policy_in, policy_option, thresholds_option
from tinyguard.cli._exit_search import Chosen, Sought, search, search_options
from tinyguard.cli._model import model_argument
from tinyguard.cli._options import console, json_option, print_json
from tinyguard.cli._rewriting import rewriting

if TYPE_CHECKING:
    from tinyguard.exits.stage_costs import Costs
    from tinyguard.graph import Graph
    from tinyguard.tflite.record.exits import Exits


@click.command()
@model_argument
@policy_option
@thresholds_option
@click.option("--answer", type=click.Choice(["taken", "mean"]),
              help="The answer: the scores of the exit taken, or the mean of those up to it.")  # fmt: skip
@search_options
@click.option("--bench", "run", metavar="RUN.json", type=click.Path(path_type=Path),
              help="Costs are those that `tinyguard bench MODEL -o RUN.json` counted, not MACs.")  # fmt: skip
@click.option("--remove", is_flag=True, help="Take the exits away: a network with several outputs is left.")
@click.option("-o", "--out", "output", type=click.Path(path_type=Path), help="The .tflite to write.")
@json_option
def command(
    model: Path,
    kind: str | None,
    thresholds: str | None,
    answer: str | None,
    run: Path | None,
    remove: bool,
    output: Path | None,
    as_json: bool,
    **typed: Any,
) -> None:
    """Show the exits of MODEL, a .tflite file, and when each answers; or set that, or find it on --data.

    An exit before the last answers where its largest probability is the threshold or more (confidence,
    1/256), where its two largest logits are as far apart (margin, codes), where its entropy is the
    threshold or less (entropy, 1/1024 bit), or where the last N exits name one class (patience).

    Thresholds that are found flatter the samples that chose them: judge them with `tinyguard eval` on others.
    """
    from tinyguard.exits.stage_costs import costs_in_macs, costs_of_run
    from tinyguard.exits.with_exits import exits_in, with_exits
    from tinyguard.files import write_atomically
    from tinyguard.tflite import read_graph

    sought = Sought(**typed)
    sought.check()
    changes = kind is not None or thresholds is not None or answer is not None
    _check(sought, kind, thresholds, changes, remove, output)
    chosen = None
    with rewriting(model, output) as content:
        exits, graph = exits_in(content), read_graph(content)
        costs = costs_in_macs(graph) if run is None else costs_of_run(run, len(exits.outputs))
        if answer is not None:
            exits = replace(exits, answer=answer)
        if sought.data is None:
            policy = policy_in(graph, kind, thresholds)
        else:
            chosen = search(model, graph, exits, costs, kind, sought)
            policy = chosen.found.policy
        if policy is not None:
            exits = replace(exits, policy=policy)
        changed = None if output is None else with_exits(content, None if remove else exits)
    if output is not None and changed is not None:
        write_atomically(output, changed)
    if as_json:
        print_json(_as_json(output or model, graph, None if remove else exits, costs, chosen))
    elif remove:
        console.print(f"wrote {output}: no exits, {len(exits.outputs)} outputs", soft_wrap=True)
    else:
        _show(graph, exits, costs, chosen)
        _show_file(output, chosen)


def _check(
    sought: Sought, kind: str | None, thresholds: str | None, changes: bool, remove: bool, output: Path | None
) -> None:
    """Raise UsageError for options that do not go together."""
    if remove and (changes or sought.data is not None):
        raise click.UsageError("--remove takes the exits away: nothing else can be said of them")
    if sought.data is not None and thresholds is not None:
        raise click.UsageError("--thresholds are typed, or found on --data: give one of them")
    if sought.data is not None and kind is not None and not sought.finds:
        raise click.UsageError("--policy with --data says what to find: add --within 0.5 or --budget 60%")
    if output is None and (remove or (changes and not sought.finds)):
        raise click.UsageError("name the file to write: -o OUT.tflite")
    if output is not None and not (changes or remove or sought.finds):
        raise click.UsageError("nothing to write: name a --policy, thresholds to find on --data, or --remove")


def _as_json(
    model: Path, graph: Graph, exits: Exits | None, costs: Costs, chosen: Chosen | None
) -> dict[str, Any]:
    from tinyguard.exits.exit_rows import exit_rows

    if exits is None:
        return {"model": str(model), "exits": None}
    return {
        "model": str(model),
        "exits": [row.as_dict() for row in exit_rows(graph, costs)],
        "unit": costs.unit,
        "policy": exits.policy.kind,
        "thresholds": list(exits.policy.thresholds),
        "answer": exits.answer,
        "chosen": None if chosen is None else chosen.as_dict(),
    }


def _show(graph: Graph, exits: Exits, costs: Costs, chosen: Chosen | None) -> None:
    from rich.markup import escape
    from rich.table import Table

    from tinyguard.exits.exit_rows import exit_rows

    table = Table(box=None, pad_edge=False)
    for column in ("exit", "layers", "scores"):
        table.add_column(column)
    for column in (f"{costs.unit} up to it", "of the last"):
        table.add_column(column, justify="right")
    for row in exit_rows(graph, costs):
        layers = f"{row.first_layer} to {row.last_layer}"
        table.add_row(str(row.exit), layers, escape(row.name), f"{row.cost:,}", f"{100 * row.share:.1f} %")
    console.print(table)
    what = "the mean of the exits up to the one taken" if exits.answer == "mean" else "the exit taken"
    console.print(f"policy  {exits.policy}")
    console.print(f"answer  {what}")
    if chosen is not None:
        _show_chosen(chosen)


def _show_chosen(chosen: Chosen) -> None:
    figures = chosen.figures
    accuracy, of_last = 100 * (figures.accuracy or 0), 100 * (1 - figures.saving)
    did = "thresholds chosen" if chosen.sought else "measured"
    shares = ", ".join(f"{100 * place.share:.1f}" for place in figures.exits)
    lines = [
        f"{did} on {chosen.words}: judge them on others with tinyguard eval",
        f"  accuracy   {accuracy:.2f} %, last exit {100 * chosen.last_accuracy:.2f} %",
        f"  mean cost  {figures.mean_cost:,.0f} {figures.unit}, {of_last:.1f} % of the last exit's",
        f"  leave at   {shares} %",
    ]
    if chosen.curve is not None:
        lines.append(f"  curve      {' and '.join(map(str, chosen.curve))}")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def _show_file(output: Path | None, chosen: Chosen | None) -> None:
    if output is not None:
        console.print(f"wrote {output}", soft_wrap=True, markup=False)
    elif chosen is not None and chosen.sought:
        console.print("written nowhere: type -o OUT.tflite to keep it")
