# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the answers that a network keeps, against the fraction it keeps, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tinyguard.evaluation.abstention import Kept
from tinyguard.report.plot import check_plot, new_figure, write_plot


def write_abstention(path: Path, curves: Mapping[str, Sequence[Kept]]) -> None:
    """Write the PNG: a curve for each name.

    Raises TinyguardError for another ending, a missing folder, or without matplotlib.
    """
    check_plot(path)
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    for name, curve in curves.items():
        axes.plot(
            [100 * point.kept for point in curve], [100 * point.accuracy for point in curve], ".-", label=name
        )
    axes.set_xlabel("answers kept, those of least predictive entropy, %")
    axes.set_ylabel("of those right, %")
    axes.set_xlim(103, 0)
    axes.set_ylim(-3, 103)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="best")
    write_plot(path, figure)
