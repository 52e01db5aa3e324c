# SPDX-License-Identifier: Apache-2.0
"""The loss around a sample as a picture: smooth where gradients lead, flat or ragged where they mask."""

from __future__ import annotations

from pathlib import Path

from tinyguard.graph.answer import UNDECIDED
from tinyguard.report.plot import check_plot, new_figure, write_plot
from tinyguard.robustness.trust.surface import LossSurface


def write_loss_surface(path: Path, surface: LossSurface) -> None:
    """Write the PNG: colour is the loss, the line the decision boundary, the square the budget.

    Raises TinyguardError for another ending, a missing folder, or without matplotlib.
    """
    check_plot(path)
    figure = new_figure(5.6, 4.6)
    axes = figure.add_subplot()
    steps, apart = surface.steps, float(surface.steps[1] - surface.steps[0])
    ends = (steps[0] - apart / 2, steps[-1] + apart / 2)
    image = axes.imshow(surface.loss.T, origin="lower", extent=(*ends, *ends), cmap="viridis")
    figure.colorbar(image, ax=axes, label="margin of the strongest other logit")
    wrong = ((surface.decided != surface.label) & (surface.decided != UNDECIDED)).astype(float)
    if 0 < wrong.mean() < 1:
        axes.contour(steps, steps, wrong.T, levels=[0.5], colors="white", linewidths=1.2)
    side = surface.eps_codes
    axes.plot([-side, side, side, -side, -side], [-side, -side, side, side, -side], "w:", linewidth=1)
    axes.plot(0, 0, "w+")
    axes.set_xlabel("codes along the gradient's signs")
    axes.set_ylabel("codes along random signs")
    axes.set_title(f"sample {surface.sample}, label {surface.label}; white: another class", loc="left")
    write_plot(path, figure)
