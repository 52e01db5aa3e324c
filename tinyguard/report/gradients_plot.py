# SPDX-License-Identifier: Apache-2.0
"""Float and integer gradients beside each other, and distances to the boundary, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.report.plot import check_plot, new_figure, write_plot
from tinyguard.robustness.trust.gradients import GradientFigures

_BINS = 30


def write_gradients(path: Path, figures: GradientFigures) -> None:
    """Write the PNG: histograms over samples of cosine, sign agreement (with a float source) and distances.

    Raises TinyguardError for another ending, a missing folder, or without matplotlib.
    """
    check_plot(path)
    compared = figures.agreement
    count = 1 if compared is None else 3
    figure = new_figure(3.6 * count + 0.4, 3.0)
    *left, last = np.atleast_1d(figure.subplots(1, count))
    if compared is not None:
        _histogram(left[0], {"": compared.cosine}, "cosine of float and integer gradient")
        _histogram(left[1], {"": compared.signs}, "fraction of equal signs")
    lines = {"integer": figures.distances}
    if figures.float_distances is not None:
        lines["float"] = figures.float_distances
    _histogram(last, lines, f"distance to the boundary, {figures.norm.replace('l', 'L')}, [0, 1] pixels")
    figure.get_axes()[0].set_ylabel("samples")
    write_plot(path, figure)


def _histogram(axes: Any, lines: dict[str, np.ndarray], label: str) -> None:
    finite = {name: values[np.isfinite(values)] for name, values in lines.items()}
    every = np.concatenate(list(finite.values()))
    edges = np.histogram_bin_edges(every, _BINS) if len(every) else _BINS
    for name, values in finite.items():
        axes.hist(values, edges, histtype="step", label=name)
    axes.set_xlabel(label)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(frameon=False)
