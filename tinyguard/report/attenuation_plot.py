# SPDX-License-Identifier: Apache-2.0
"""What rounding makes of float perturbations, against eps in codes, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tinyguard.report.plot import check_plot, new_figure, write_plot
from tinyguard.robustness.trust.attenuation import Attenuation


def write_attenuation(path: Path, points: Sequence[Attenuation], integer: str = "int8") -> None:
    """Write the PNG: above, samples that stay right on either network; below, elements erased and amplified.

    `integer` names the integer network. Raises TinyguardError for another ending, a missing folder, or
    without matplotlib.
    """
    check_plot(path)
    points = sorted(points, key=lambda point: point.eps_codes)
    eps = [point.eps_codes for point in points]
    figure = new_figure(7.6, 6.0)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for name, field, color in (("float", "float_left", "C0"), (integer, "integer_left", "C1")):
        upper.plot(eps, [100 * getattr(point, field) for point in points], ".-", color=color, label=name)
        low, high = zip(*(point.as_dict()["ci95"][field] for point in points), strict=True)
        percent = [[100 * end for end in ends] for ends in (low, high)]
        upper.fill_between(eps, *percent, color=color, alpha=0.12, linewidth=0)
    upper.set_ylabel("still right, % of those right before")
    for name, field, style in (
        ("elements erased", "erased", "C2.-"),
        ("elements amplified", "amplified", "C3.-"),
        ("samples erased whole", "erased_samples", "C2:"),
        ("samples beyond eps", "amplified_samples", "C3:"),
    ):
        lower.plot(eps, [100 * getattr(point, field) for point in points], style, label=name)
    lower.set_ylabel("after rounding, %")
    lower.set_xlabel(f"eps of the attack on the float network, codes of the {integer} network")
    for axes in (upper, lower):
        axes.set_ylim(-3, 103)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
        axes.axvline(0.5, color="grey", linewidth=0.8, linestyle="--")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    write_plot(path, figure)
