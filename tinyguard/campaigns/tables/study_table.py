# SPDX-License-Identifier: Apache-2.0
"""The finished cells of a study as one table: CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tinyguard.campaigns.cell import Cell, Piece
from tinyguard.campaigns.store import Store, joined, unpack
from tinyguard.files import write_atomically
from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.distortion import NORMS
from tinyguard.robustness.worst_case import worst_case

_COLUMNS = (
    "network",
    "label",
    "setting",
    "norm",
    "eps",
    "eps_codes",
    "samples",
    "clean_accuracy",
    "accuracy_under_attack",
    "ci95_low",
    "ci95_high",
    "robust_share_of_correct",
    "ties",
    "queries_mean",
    *(f"{norm}_{kind}" for norm in NORMS for kind in ("median", "mean", "max")),
    "seconds",
    "on",
    "base",
    "success_share",
    "mean_exit_before",
    "mean_exit",
    "mean_cost_before",
    "mean_cost",
    "efficacy_before",
    "efficacy",
    "exits_clean",
    "exits_under_attack",
    "exits_mean",
    "transfer_of_all",
    "transfer_of_fooled",
    "note",
)
UNFINISHED = "not finished"
"""The note of a row that lacks a run. Where it lacks all, the Markdown tables leave it out."""


def finished(cells: Sequence[Cell], pieces: Sequence[Piece], store: Store) -> dict[int, AttackRun]:
    """The runs of all cells that are finished or judged from a finished one, by the cells' indices."""
    runs = {}
    for cell in cells:
        own = [piece for piece in pieces if piece.cell.index == cell.index]
        if own and all(store.has(piece.key) for piece in own):
            runs[cell.index] = joined([unpack(store.read(piece.key)) for piece in own])
    for cell in cells:
        if cell.same_search_as in runs:
            assert cell.eps is not None
            runs[cell.index] = runs[cell.same_search_as].under(cell.eps, cell.eps_codes)
    return runs


def rows(cells: Sequence[Cell], runs: dict[int, AttackRun]) -> list[dict[str, Any]]:
    """One record a cell, as `tinyguard attack --json` prints them, with network, label and note; then the
    worst case of each network over its attacks of one norm and budget."""
    return [_row(cell, cells, runs) for cell in cells] + list(_worst_cases(cells, runs))


def _row(cell: Cell, cells: Sequence[Cell], runs: dict[int, AttackRun]) -> dict[str, Any]:
    head: dict[str, Any] = {"network": cell.network.name, "label": cell.entry.label}
    head |= {} if cell.network.on is None else {"on": cell.network.on}
    if cell.unreachable:
        return {**head, **_planned(cell), "note": "under one code: no other input is in reach"}
    if cell.equal_to is None:
        run, same = runs.get(cell.index), {}
    else:
        run = runs.get(cell.equal_to)
        same = {"equal_to": cells[cell.equal_to].eps, "eps": cell.eps, "note": "the same codes"}
    if run is None:
        return {**head, **_planned(cell), **same, "note": UNFINISHED}
    return {**head, **run.as_dict(), **same}


def _planned(cell: Cell) -> dict[str, Any]:
    return {
        "attack": cell.entry.attack,
        "norm": cell.norm,
        "eps": cell.eps,
        "eps_codes": cell.eps_codes,
        "setting": cell.setting,
    }


def _worst_cases(cells: Sequence[Cell], runs: dict[int, AttackRun]) -> Iterator[dict[str, Any]]:
    """What all budgeted attacks of a network, norm, budget, number of samples and target leave together."""
    groups: dict[tuple[str, str, float, int, str | None], list[Cell]] = {}
    for cell in cells:
        if cell.network.on not in (None, "answer"):
            continue
        if cell.eps is not None and (cell.equal_to is not None or cell.index in runs):
            key = (cell.network.name, cell.norm, cell.eps, cell.entry.limit, cell.entry.targeted)
            groups.setdefault(key, []).append(cell)
    for (network, norm, eps, _, targeted), group in groups.items():
        indices = [cell.index if cell.equal_to is None else cell.equal_to for cell in group]
        finished = [runs[index] for index in indices if index in runs]
        if len(finished) > 1:
            yield {
                "network": network,
                "label": "worst case" if targeted is None else f"worst case, to {targeted}",
                "setting": f"{len(finished)} attacks",
                "eps": eps,
                "eps_codes": group[0].eps_codes,
                **worst_case(finished).as_dict(),
                "norm": norm,
            }


def write_tables(folder: Path, records: list[dict[str, Any]]) -> list[Path]:
    """table.json, table.csv and table.md in `folder`; their paths."""
    flat = [_flat(record) for record in records]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    contents = {
        "table.json": json.dumps(records, indent=1) + "\n",
        "table.csv": stream.getvalue(),
        "table.md": markdown(records),
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    low, high = record.get("ci95", {}).get("accuracy_under_attack", ("", ""))
    flat = {**record, "ci95_low": low, "ci95_high": high}
    flat |= _exits(record.get("exits"))
    for norm in NORMS:
        flat[f"{norm}_median"] = record.get("distortion_median", {}).get(norm)
        for kind in ("mean", "max"):
            flat[f"{norm}_{kind}"] = record.get("distortion", {}).get(norm, {}).get(kind)
    return flat


def _exits(exits: dict[str, Any] | None) -> dict[str, Any]:
    """The columns of a network with exits; those of one figure an exit are joined by spaces."""
    if exits is None:
        return {}
    named = ("mean_exit", "mean_cost", "efficacy")
    flat = {f"{name}{when}": exits[f"{name}{when}"] for name in named for when in ("_before", "")}
    flat["exits_mean"] = exits["mean_accuracy_under_attack"]
    lists = {"exits_clean": exits["clean_accuracy"], "exits_under_attack": exits["accuracy_under_attack"]}
    lists |= {f"transfer_{name}": shares for name, shares in exits.get("transfer", {}).items()}
    for name, shares in lists.items():
        flat[name] = " ".join("-" if share is None else f"{share:.4f}" for share in shares)
    return flat


def markdown(records: list[dict[str, Any]]) -> str:
    """A table for people: accuracies in per cent with their 95 % interval, distances as fractions of the
    pixel range."""
    lines = [
        "| network | attack | setting | eps | codes | samples | clean | under attack [95 %] | ties | "
        "queries | median L0 / L1 / L2 / Linf | |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---|---|",
    ]
    shown = [record for record in records if record.get("note") != UNFINISHED]
    lines += [f"| {' | '.join(_cells(record))} |" for record in shown]
    return "\n".join([*lines, *left_out(len(records) - len(shown))]) + "\n"


def left_out(rows: int) -> list[str]:
    """The last lines of a Markdown table without its `rows` unfinished rows."""
    return ["", f"Rows left out here as not finished: {rows:,} (table.csv has them)."] if rows else []


def _cells(record: dict[str, Any]) -> list[str]:
    low, high = record.get("ci95", {}).get("accuracy_under_attack", (None, None))
    under = record.get("accuracy_under_attack")
    medians = record.get("distortion_median", {})
    shown = [medians.get(norm) for norm in NORMS]
    return [
        record["network"],
        record["label"] + (f", on {record['on']}" if "on" in record else ""),
        record["setting"],
        "" if record["eps"] is None else f"{record['eps']:.4g}",
        "" if record["eps_codes"] is None else str(record["eps_codes"]),
        str(record.get("samples", "")),
        _percent(record.get("clean_accuracy")),
        "" if under is None else f"{_percent(under)} [{_percent(low)}, {_percent(high)}]",
        str(record.get("ties", "")),
        "" if record.get("queries_mean") is None else f"{record['queries_mean']:,.0f}",
        "" if shown[0] is None else " / ".join("" if v is None else f"{v:.3g}" for v in shown),
        record.get("note", ""),
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
