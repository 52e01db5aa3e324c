# SPDX-License-Identifier: Apache-2.0
"""Accuracy under attack against the budget, a picture for each attack and norm."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyguard.report.plot import new_figure, write_plot

_STYLES = {"white-box": "-", "transfer": "--", "black-box": ":"}


def write_curves(folder: Path, records: Sequence[dict[str, Any]]) -> list[Path]:
    """One PNG in `folder` for each attack and norm with two budgets or more; their paths.

    `records` are those of `study_table.rows`. Raises ImportError without matplotlib.
    """
    groups: dict[tuple[str, str], dict[tuple[str, str], list[dict[str, Any]]]] = {}
    for record in records:
        if record.get("eps") is not None and record.get("clean_accuracy") is not None:
            lines = groups.setdefault((record["label"], record["norm"]), {})
            lines.setdefault((record["network"], record["setting"]), []).append(record)
    paths = []
    for (label, norm), lines in groups.items():
        if max(len(points) for points in lines.values()) < 2:
            continue
        figure = new_figure(6.4, 4.0)
        _draw(figure.add_subplot(), label, norm, lines)
        path = folder / f"{re.sub(r'[^a-z0-9]+', '-', f'{label} {norm}'.lower()).strip('-')}.png"
        write_plot(path, figure)
        paths.append(path)
    return paths


def _draw(axes: Any, label: str, norm: str, lines: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    colors = {network: f"C{i}" for i, network in enumerate(sorted({network for network, _ in lines}))}
    for (network, setting), points in sorted(lines.items()):
        points = sorted(points, key=lambda point: point["eps"])
        eps = [0.0] + [point["eps"] for point in points]
        clean = points[0]["clean_accuracy"]
        accuracy = [100 * value for value in [clean] + [p["accuracy_under_attack"] for p in points]]
        intervals = [point["ci95"]["accuracy_under_attack"] for point in points]
        # A direct attack on a grid gains nothing between two budgets that hold more points of it.
        steps = "post" if setting != "transfer" and points[0].get("grid", "none") != "none" else None
        style = {"color": colors[network], "linestyle": _STYLES.get(setting, "-.")}
        style["drawstyle"] = "steps-post" if steps else "default"
        axes.plot(eps, accuracy, marker=".", label=f"{network}, {setting}", **style)
        low, high = ([100 * interval[side] for interval in intervals] for side in (0, 1))
        axes.fill_between(eps[1:], low, high, color=colors[network], alpha=0.12, linewidth=0, step=steps)
    axes.set_xlabel(f"eps, {norm.replace('linf', 'Linf').replace('l2', 'L2')}, fraction of the pixel range")
    axes.set_ylabel("accuracy under attack, %")
    axes.set_ylim(-2, 102)
    axes.set_xlim(left=0)
    axes.set_title(label, loc="left")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
