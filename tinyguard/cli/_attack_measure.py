# SPDX-License-Identifier: Apache-2.0
"""`tinyguard attack --measure`: figures of a network in an attack's place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinyguard.cli._attack_form import Form
from tinyguard.cli._options import console, print_json
from tinyguard.errors import TinyguardError

if TYPE_CHECKING:
    import numpy as np

    from tinyguard.robustness.attacked_network import Target
    from tinyguard.robustness.trust.attenuation import Attenuation
    from tinyguard.robustness.trust.gradients import GradientFigures

OPTIONS = (
    click.Option(
        ["--measure"],
        type=click.Choice(["gradients", "attenuation"]),
        help="How the integer gradient differs from the float one (takes --attack, --norm, --steps, --loss), "
        "or what rounding makes of float perturbations (--loss, --steps, --restarts); -o FILE.png draws it.",
    ),
)
_UNUSED = {"gradients": ("restarts",), "attenuation": ("attack", "norm")}


def run_measure(values: Mapping[str, Any]) -> None:
    """Measure as typed, print the figures and write the picture where -o names one."""
    for name in _UNUSED[values["measure"]]:
        if values[name] is not None:
            raise click.UsageError(f"--{name} does not go with --measure {values['measure']}: leave it out")
    if values["data"] is None:
        raise click.UsageError("--data is missing (see --help)")
    from tinyguard.robustness.attacked_network import open_target, require_torch

    require_torch()
    from tinyguard.data.network_codes import read_codes
    from tinyguard.report.plot import check_plot

    picture: Path | None = values["output"]
    if picture is not None:
        check_plot(picture)
    if values["backend"] is not None or values["serial"] is not None:
        raise TinyguardError("measures are taken on the simulator: leave out --backend and --serial")
    target = open_target(
        values["model"],
        source=values["source"],
        grid=values["grid"],
        batch_size=values["batch_size"],
        filter_gradient=values["filter_gradient"],
        detector=values["detector"],
        output=values["answer"],
    )
    codes, labels = read_codes(values["model"], target.graph, values["data"], values["limit"])
    if labels is None:
        raise TinyguardError(f"{values['data']} has no labels, and measures need them: save y beside x")
    measure = _gradients if values["measure"] == "gradients" else _attenuation
    measure(target, codes, labels, picture, values)


def _gradients(
    target: Target,
    codes: np.ndarray,
    labels: np.ndarray,
    picture: Path | None,
    values: Mapping[str, Any],
) -> None:
    from tinyguard.attacks import find_attack
    from tinyguard.report.gradients_plot import write_gradients
    from tinyguard.robustness.threat_model import make_attack
    from tinyguard.robustness.trust.gradients import gradient_figures

    cls = find_attack(values["attack"] or "deepfool")
    if cls.budgeted or cls.access != "gradient":
        raise TinyguardError(f"{cls.name} looks for no nearest success by gradients: type --attack deepfool")
    attack = make_attack(cls, {"norm": values["norm"], "steps": values["steps"]}, {})
    figures = gradient_figures(
        target, codes, labels, loss=values["loss"] or "ce", nearest=attack, seed=values["seed"]
    )
    if picture is not None:
        write_gradients(picture, figures)
    if values["as_json"]:
        print_json(figures.as_dict())
    else:
        _show_gradients(figures, picture)


def _attenuation(
    target: Target,
    codes: np.ndarray,
    labels: np.ndarray,
    picture: Path | None,
    values: Mapping[str, Any],
) -> None:
    from tinyguard.attacks.pgd import PGD
    from tinyguard.cli._progress import sample_progress
    from tinyguard.report.attenuation_plot import write_attenuation
    from tinyguard.robustness.threat_model import make_attack
    from tinyguard.robustness.trust.attenuation import attenuation

    given = {name: values[name] for name in ("loss", "steps", "restarts")}
    attack: Any = make_attack(PGD, given, {})
    with sample_progress("budgets") as update:
        points = attenuation(target, codes, labels, attack=attack, seed=values["seed"], progress=update)
    if picture is not None:
        write_attenuation(picture, points, target.space.dtype)
    if values["as_json"]:
        print_json([point.as_dict() for point in points])
    else:
        _show_attenuation(points, target.space.dtype, picture)


def _show_gradients(figures: GradientFigures, picture: Path | None) -> None:
    from rich.table import Table

    found = figures.as_dict()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("samples that are right", f"{found['samples']:,}")
    if found["float_and_integer"] is None:
        table.add_row("float and integer gradients", "type --source FILE to compare them")
    else:
        for label, key in (("cosine of float and integer", "cosine"), ("equal signs", "sign_agreement")):
            table.add_row(label, _spread(found["float_and_integer"][key]))
    table.add_row("samples without any gradient", f"{100 * found['zero_gradient_samples']:.2f} %")
    table.add_row("elements without gradient", f"{100 * found['zero_gradient_elements']:.2f} %")
    for key, label in (
        ("output_unchanged", "one code changes no output"),
        ("logits_unchanged", "one code changes no logit"),
        ("own_output_unchanged", "one code keeps the label's output"),
        ("own_logit_unchanged", "one code keeps the label's logit"),
    ):
        table.add_row(label, f"{100 * found['one_code_steps'][key]:.2f} %")
    boundary = found["boundary"]
    table.add_row(f"distance to the boundary, {boundary['norm']}", _spread(boundary["distance"]))
    if boundary["float_distance"] is not None:
        table.add_row("the same, float", _spread(boundary["float_distance"]))
    console.print(table)
    if picture is not None:
        console.print(f"picture in {picture}", soft_wrap=True)


def _spread(values: dict[str, float] | None) -> str:
    if values is None:
        return "none"
    return f"median {values['q50']:.4g}, 90 % in {values['q05']:.4g} to {values['q95']:.4g}"


def _show_attenuation(points: tuple[Attenuation, ...], integer: str, picture: Path | None) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in (
        "eps in codes",
        "float left",
        f"{integer} left",
        "erased",
        "amplified",
        "L2 after by before",
    ):
        table.add_column(name, justify="right")
    for point in points:
        shares = (point.float_left, point.integer_left, point.erased, point.amplified)
        percent = (f"{100 * share:.1f} %" for share in shares)
        table.add_row(f"{point.eps_codes:g}", *percent, f"{point.l2_ratio:.2f}")
    console.print(f"{points[0].samples:,} samples that both networks get right")
    console.print(table)
    if picture is not None:
        console.print(f"picture in {picture}", soft_wrap=True)


FORM = Form(
    "Measures",
    "measure",
    "measures the network in an attack's place: leave it out",
    OPTIONS,
    frozenset(
        {"model", "data", "limit", "answer", "source", "grid", "filter_gradient", "detector", "batch_size"}
        | {"attack", "norm", "loss", "steps", "restarts", "seed", "output", "backend", "serial"}
    ),
    run_measure,
)
