# SPDX-License-Identifier: Apache-2.0
"""A study of defenses as files: table.json, table.csv and table.md."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyguard.campaigns.defense_study import ADAPTIVE
from tinyguard.campaigns.tables.defense_rows import SETTINGS, Table
from tinyguard.campaigns.tables.study_table import UNFINISHED, left_out
from tinyguard.files import write_atomically

_FIGURES = (*SETTINGS.values(), "worst")
_COSTS = ("instructions", "ram_bytes", "flash_bytes")
_COLUMNS = (
    *("defense", "attack", "norm", "eps", "eps_codes", "samples", "seeds"),
    *(f"{name}_{kind}" for name in ("clean", *_FIGURES) for kind in ("mean", "std")),
    *("rule", "flag", "failed_checks", *(f"added_{name}" for name in _COSTS), "note"),
)


def write_defense_tables(folder: Path, table: Table) -> list[Path]:
    """The three files in `folder`; their paths."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    defenses = {defense["defense"]: defense for defense in table.defenses}
    writer.writerows(_flat(row, defenses[row["defense"]]) for row in table.attacks)
    contents = {
        "table.json": json.dumps(asdict(table), indent=1) + "\n",
        "table.csv": stream.getvalue(),
        "table.md": markdown(table),
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _flat(row: dict[str, Any], defense: dict[str, Any]) -> dict[str, Any]:
    flat = {**row, "failed_checks": ", ".join(defense["failed_checks"] or ())}
    for name in ("clean", *_FIGURES):
        for kind in ("mean", "std"):
            flat[f"{name}_{kind}"] = (row[name] or {}).get(kind)
    flat |= {f"added_{name}": (defense["added"] or {}).get(name) for name in _COSTS}
    return flat | {"rule": (row["adaptive"] or {}).get("rule")}


def markdown(table: Table) -> str:
    """For people: accuracies in per cent, with the deviation over the scoring seeds of stochastic ones."""
    defenses = [
        defense for defense in table.defenses if defense["clean"] or defense["cost"] or defense["cost_note"]
    ]
    attacks = [row for row in table.attacks if row["worst"] or row["note"] != UNFINISHED]
    lines = [
        "| defense | clean | instructions | RAM | flash | checks for gradient masking |",
        "|---|---:|---:|---:|---:|---|",
        *(f"| {' | '.join(_defense(defense))} |" for defense in defenses),
        "",
        "| defense | attack | eps | codes | samples | transfer | black-box | adaptive | by | worst | |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|---:|---|",
        *(f"| {' | '.join(_attack(row))} |" for row in attacks),
        *left_out(len(table.attacks) - len(attacks)),
    ]
    return "\n".join(lines) + "\n"


def _defense(defense: dict[str, Any]) -> list[str]:
    failed = defense["failed_checks"]
    checks = ""
    if failed is not None:
        checks = f"failed: {', '.join(failed)}" if failed else f"{len(defense['checks'])} passed"
    costs = [_cost(defense, name) for name in _COSTS]
    return [
        defense["defense"],
        _figure(defense["clean"]),
        *costs,
        "; ".join(filter(None, [checks, defense["cost_note"]])),
    ]


def _cost(defense: dict[str, Any], name: str) -> str:
    if defense["cost"] is None:
        return ""
    whole, added = defense["cost"][name], (defense["added"] or {}).get(name)
    if added is None or defense["undefended"]:
        return f"{whole:,}"
    return f"{added:+,} ({100 * added / (whole - added):+.1f} %)"


def _attack(row: dict[str, Any]) -> list[str]:
    return [
        row["defense"],
        row["attack"],
        "" if row["eps"] is None else f"{row['eps']:.4g} {row['norm']}",
        str(row["eps_codes"]) if row["norm"] == "linf" and row["eps_codes"] is not None else "",
        "" if row["samples"] is None else str(row["samples"]),
        *(_figure(row[name]) for name in SETTINGS.values()),
        _rule(row["adaptive"]),
        _figure(row["worst"]),
        "; ".join(filter(None, [row["flag"] and f"**{row['flag']}**", row["note"]])),
    ]


def _rule(adaptive: dict[str, Any] | None) -> str:
    """The backward rule that won, where there was a choice."""
    if adaptive is None or len(adaptive["rules"]) < 2:
        return ""
    return str(adaptive["rule"]).rpartition(f"{ADAPTIVE}, ")[2]


def _figure(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    deviation = "" if figure["std"] is None else f" ± {100 * figure['std']:.1f}"
    return f"{100 * figure['mean']:.1f}{deviation}"
