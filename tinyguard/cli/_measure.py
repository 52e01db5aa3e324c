"""What `tinyguard attack` tells of a network beside an attack: measures, checks, a loss surface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tinyguard.attacks import find_attack
from tinyguard.attacks.pgd import PGD
from tinyguard.cli._options import console, print_json
from tinyguard.cli._progress import sample_progress
from tinyguard.data.network_codes import read_codes
from tinyguard.errors import TinyguardError
from tinyguard.report.attenuation_plot import write_attenuation
from tinyguard.report.gradients_plot import write_gradients
from tinyguard.report.loss_surface import write_loss_surface
from tinyguard.report.plot import check_plot
from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.attacked_network import Target, open_target
from tinyguard.robustness.threat_model import make_attack
from tinyguard.robustness.trust.attenuation import Attenuation, attenuation
from tinyguard.robustness.trust.gradients import GradientFigures, gradient_figures
from tinyguard.robustness.trust.surface import loss_surface

_USUAL_EPS = 8 / 255


def run_measure(measure: str, model: Path, as_json: bool, options: Mapping[str, Any]) -> None:
    """Measure as typed, print the figures and write the picture where -o names one."""
    picture: Path | None = options["output"]
    if picture is not None:
        check_plot(picture)
    if options["backend"] is not None or options["serial"] is not None:
        raise TinyguardError("measures are taken on the simulator: leave out --backend and --serial")
    target = open_target(
        model,
        source=options["source"],
        grid=options["grid"],
        batch_size=options["batch_size"],
        filter_gradient=options["filter_gradient"],
        detector=options["detector"],
        output=options["answer"],
    )
    codes, labels = read_codes(model, target.graph, options["data"], options["limit"])
    if labels is None:
        raise TinyguardError(f"{options['data']} has no labels, and measures need them: save y beside x")
    if measure == "gradients":
        _gradients(target, codes, labels, as_json, picture, options)
    else:
        _attenuation(target, codes, labels, as_json, picture, options)


def show_checks(output: Console, run: AttackRun) -> None:
    """The checks for gradient masking as a table, and which mask the figure is from."""
    table = Table(box=None, pad_edge=False)
    for name in ("check", "", "number", "note"):
        table.add_column(name, justify="right" if name == "number" else "left")
    for check in run.checks:
        mark = "[green]pass[/]" if check.passed else "[bold yellow]warn[/]"
        if check.value is None:
            mark = "[dim]skip[/]"
        value = "" if check.value is None else f"{check.value:.4g}"
        table.add_row(check.name, mark, value, f"[dim]{check.note}[/]")
    output.print(table)
    mask = run.extra.get("mask")
    if mask is not None:
        exact, leaky = (100 * mask[f"{name}_robust_share_of_correct"] for name in ("exact", "leaky"))
        text = (
            f"exact gradients leave {exact:.2f} % of those right before, through leaky clamps {leaky:.2f} %"
        )
        output.print(f"{text}: the figure is the {mask['reported']} one's")


def draw_surface(path: Path, target: Target, run: AttackRun, codes: np.ndarray, *, required: bool) -> None:
    """Draw the loss around the first sample that was right before the attack.

    Raises TinyguardError without one, where the picture is `required`.
    """
    right = np.flatnonzero(run.correct)
    if not len(right) and not required:
        return
    if not len(right):
        raise TinyguardError("no sample was right before the attack, so there is no loss surface to draw")
    at, linf = int(right[0]), run.conditions.norm == "linf"
    eps = run.conditions.eps if linf and run.conditions.eps is not None else _USUAL_EPS
    surface = loss_surface(
        target, codes[at], int(run.y[at]), sample=int(run.ids[at]), eps=eps, seed=run.conditions.seed
    )
    write_loss_surface(path, surface)


def _gradients(
    target: Target,
    codes: np.ndarray,
    labels: np.ndarray,
    as_json: bool,
    picture: Path | None,
    options: Mapping[str, Any],
) -> None:
    cls = find_attack(options["attack"] or "deepfool")
    if cls.budgeted or cls.access != "gradient":
        raise TinyguardError(f"{cls.name} looks for no nearest success by gradients: type --attack deepfool")
    attack = make_attack(cls, {"norm": options["norm"], "steps": options["steps"]}, {})
    figures = gradient_figures(
        target, codes, labels, loss=options["loss"] or "ce", nearest=attack, seed=options["seed"]
    )
    if picture is not None:
        write_gradients(picture, figures)
    if as_json:
        print_json(figures.as_dict())
    else:
        _show_gradients(figures, picture)


def _attenuation(
    target: Target,
    codes: np.ndarray,
    labels: np.ndarray,
    as_json: bool,
    picture: Path | None,
    options: Mapping[str, Any],
) -> None:
    given = {name: options[name] for name in ("loss", "steps", "restarts")}
    attack: Any = make_attack(PGD, given, {})
    with sample_progress("budgets") as update:
        points = attenuation(target, codes, labels, attack=attack, seed=options["seed"], progress=update)
    if picture is not None:
        write_attenuation(picture, points, target.space.dtype)
    if as_json:
        print_json([point.as_dict() for point in points])
    else:
        _show_attenuation(points, target.space.dtype, picture)


def _show_gradients(figures: GradientFigures, picture: Path | None) -> None:
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
