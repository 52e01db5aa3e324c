# SPDX-License-Identifier: Apache-2.0
"""Accuracy against cost of the policies of a network with exits, as a picture and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyguard.exits.thresholds import Found
from tinyguard.files import write_atomically
from tinyguard.report.plot import check_plot, new_figure, write_plot

_COLUMNS = ("policy", "thresholds", "accuracy", "mean_cost", "unit", "share_of_last", "samples")


def curve_paths(name: Path) -> tuple[Path, Path]:
    """The .csv and the .png of that name, with or without one of these endings.

    Raises TinyguardError for a missing folder, or without matplotlib: call it before the work.
    """
    stem = name.with_suffix("") if name.suffix.lower() in (".csv", ".png") else name
    table, picture = (stem.with_name(stem.name + ending) for ending in (".csv", ".png"))
    check_plot(picture)
    return table, picture


def write_exit_curve(
    name: Path,
    curves: Mapping[str, Sequence[Found]],
    exits: Sequence[Found],
    chosen: Found,
    *,
    unit: str,
    samples: str,
) -> tuple[Path, Path]:
    """Write NAME.csv and NAME.png: a curve for each kind of policy, a point for each exit alone, shallowest
    first, and one for the policy `chosen`.

    `samples` says on which all of them were found and measured. Raises as `curve_paths`.
    """
    table, picture = curve_paths(name)
    rows = [(kind, found) for kind, points in curves.items() for found in points]
    rows += [(f"exit {place} alone", found) for place, found in enumerate(exits, start=1)]
    rows.append((f"chosen: {chosen.policy.kind}", chosen))
    write_atomically(table, _csv(rows, unit, samples))
    figure = new_figure(6.4, 4.4)
    axes = figure.add_subplot()
    _draw(axes, curves, exits, chosen)
    axes.set_title(f"thresholds found and measured on\n{samples}", loc="left", fontsize="medium")
    axes.set_xlabel(f"mean {unit} per inference, % of the last exit's")
    write_plot(picture, figure)
    return table, picture


def _csv(rows: Sequence[tuple[str, Found]], unit: str, samples: str) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name, found in rows:
        thresholds = " ".join(map(str, found.policy.thresholds))
        figures = (f"{found.accuracy:.6f}", f"{found.mean_cost:.1f}", unit, f"{found.share_of_last:.6f}")
        writer.writerow((name, thresholds, *figures, samples))
    return stream.getvalue()


def _draw(axes: Any, curves: Mapping[str, Sequence[Found]], exits: Sequence[Found], chosen: Found) -> None:
    for kind, points in curves.items():
        style = "s" if kind == "patience" else ".-"
        axes.plot(*_places(points), style, label=kind, linewidth=1.2, markersize=5)
    axes.plot(*_places(exits), "kx", label="each exit alone")
    for place, found in enumerate(exits, start=1):
        where = (100 * found.share_of_last, 100 * found.accuracy)
        axes.annotate(str(place), where, (5, -11), textcoords="offset points")
    axes.plot(*_places([chosen]), "o", markersize=11, fillstyle="none", color="k", label=str(chosen.policy))
    axes.set_ylabel("accuracy, %")
    axes.set_xlim(0, 103)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")


def _places(points: Sequence[Found]) -> tuple[list[float], list[float]]:
    return [100 * found.share_of_last for found in points], [100 * found.accuracy for found in points]
