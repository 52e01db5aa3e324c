"""The work behind `tinyguard attack`: options to one run, and the table that people read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tinyguard.attacks import find_attack
from tinyguard.attacks.problem import Attack
from tinyguard.cli._measure import draw_surface, show_checks
from tinyguard.cli._model import board_port
from tinyguard.cli._progress import sample_progress
from tinyguard.data.network_codes import read_codes
from tinyguard.data.shares import shares_of
from tinyguard.errors import TinyguardError
from tinyguard.report.plot import can_plot, check_plot
from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.attacked_network import Target, open_target
from tinyguard.robustness.budget import check_eps, parse_eps
from tinyguard.robustness.run import attack_samples
from tinyguard.robustness.stored_inputs import save_adversarial
from tinyguard.robustness.targets import wanted_classes
from tinyguard.robustness.threat_model import check_access, default_setting, make_attack, norm_of


@dataclass(frozen=True)
class AttackOptions:
    """The command's options, as they were typed."""

    data: str
    attack: str
    eps: str | None
    norm: str | None
    setting: str | None
    backend: str | None
    serial: str | None
    source: tuple[str, ...]
    scores: str
    grid: str | None
    filter_gradient: str
    detector: str
    targeted: str | None
    loss: str | None
    steps: int | None
    restarts: int | None
    queries: int | None
    settings: tuple[str, ...]
    seed: int
    limit: int | None
    batch_size: int
    check: bool
    surface: Path | None
    output: Path | None
    answer: str | None = None


def run_attack(model: Path, options: AttackOptions) -> AttackRun:
    """One attack as typed; the inputs found are written where `output` says."""
    cls = find_attack(options.attack)
    setting = options.setting or default_setting(cls)
    check_access(cls, setting)
    if options.surface is not None:
        check_plot(options.surface)
    if options.output is not None and not options.output.absolute().parent.is_dir():
        raise TinyguardError(f"folder {options.output.parent} is not there: make it, or name another -o")
    if options.output is not None and options.output.is_dir():
        raise TinyguardError(f"{options.output} is a folder: name a file in it, -o {options.output}/adv.npz")
    target = open_target(
        model,
        backend=options.backend or ("simulator" if options.serial is None else board_port(options.serial)),
        source=options.source,
        grid=options.grid,
        show=options.scores,
        batch_size=options.batch_size,
        filter_gradient=options.filter_gradient,
        detector=options.detector,
        output=options.answer,
    )
    try:
        return _run(target, cls, setting, options)
    finally:
        target.close()


def _run(target: Target, cls: type[Attack], setting: str, options: AttackOptions) -> AttackRun:
    eps = _eps(target, cls, options)
    attack = _attack(cls, options, eps)
    if eps is not None:
        check_eps(eps, norm_of(attack))
    codes, labels = read_codes(target.path, target.graph, options.data, options.limit)
    if labels is None:
        raise TinyguardError(f"{options.data} has no labels, and an attack needs them: save y beside x")
    ids, targets = np.arange(len(codes)), None
    if options.targeted is not None:
        names = target.metadata.class_names if target.metadata else None
        targets, kept = wanted_classes(options.targeted, labels, target.classes, names)
        codes, labels, ids, targets = codes[kept], labels[kept], ids[kept], targets[kept]
    with sample_progress(f"{attack.name}, {setting}") as update:
        run = attack_samples(
            target, attack, setting, codes, labels, ids=ids, targets=targets, eps=eps, seed=options.seed,
            progress=update,
        )  # fmt: skip
    if options.check:
        from tinyguard.robustness.trust.checks import checked

        with sample_progress("checks for gradient masking") as update:
            run = checked(target, run, codes, labels, progress=update)
    if options.output is not None:
        save_adversarial(options.output, run)
    if (picture := _picture(options)) is not None:
        draw_surface(picture, target, run, codes, required=options.surface is not None)
    return run


def _picture(options: AttackOptions) -> Path | None:
    """Where the loss surface goes: as typed, or beside the inputs that --check looked at."""
    if options.surface is not None or not options.check or options.output is None or not can_plot():
        return options.surface
    return options.output.with_suffix(".surface.png")


def _eps(target: Target, cls: type[Attack], options: AttackOptions) -> float | None:
    if options.eps is None:
        if cls.budgeted and getattr(cls, "eps", None) is not None:
            raise TinyguardError(f"{cls.name} needs a budget: type --eps 8/255 or --eps 2codes")
        return None
    tensor = target.graph.tensors[target.graph.inputs[0]]
    return parse_eps(options.eps, shares_of(tensor, target.normalization))


def _attack(cls: type[Attack], options: AttackOptions, eps: float | None) -> Attack:
    given = {
        "eps": eps if cls.budgeted else None,
        "norm": options.norm,
        "loss": options.loss,
        "steps": options.steps,
        "restarts": options.restarts,
        "queries": options.queries,
    }
    settings: dict[str, str] = {}
    for setting in options.settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise TinyguardError(f"--set {setting} has no value: type --set NAME=VALUE")
        settings[name] = value
    return make_attack(cls, given, settings)


def show_attack(console: Console, run: AttackRun, output: Path | None) -> None:
    """A run's figures as a table."""
    figures = run.as_dict()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("attack", f"{figures['attack']}, {figures['norm']}, {figures['setting']}")
    if figures["eps"] is not None:
        table.add_row("eps", _budget(figures))
    table.add_row("back end", figures["backend"])
    if "output" in figures:
        table.add_row("output", figures["output"])
    table.add_row("samples", f"{figures['samples']:,}")
    for label, key in (
        ("accuracy before", "clean_accuracy"),
        ("accuracy under attack", "accuracy_under_attack"),
        ("of those right before", "robust_share_of_correct"),
    ):
        low, high = figures["ci95"][key]
        table.add_row(label, f"{100 * figures[key]:.2f} %  [dim]95 %: {100 * low:.1f} to {100 * high:.1f}[/]")
    table.add_row("successes", f"{figures['successes']:,}, of them only ties {figures['ties']:,}")
    table.add_row("network runs a sample", f"{figures['queries_mean']:,.1f}")
    for norm, label in (("linf", "Linf"), ("l2", "L2"), ("l1", "L1"), ("l0", "L0")):
        spread, middle = figures["distortion"][norm], figures["distortion_median"][norm]
        if spread["mean"] is not None:
            text = f"mean {spread['mean']:.5g}, median {middle:.5g}, largest {spread['max']:.5g}"
            table.add_row(f"{label} of successes", text)
    table.add_row("seconds", f"{figures['seconds']:,.1f} on {figures['threads']} threads")
    console.print(table)
    for note in _notes(run, figures):
        console.print(note)
    if run.checks:
        show_checks(console, run)
    if output is not None:
        again = f"; `tinyguard attack MODEL --replay {output}` scores them again"
        console.print(f"inputs in {output}{'' if run.conditions.grid == 'none' else again}", soft_wrap=True)


def _budget(figures: dict) -> str:
    codes, eps = figures["eps_codes"], figures["eps"]
    if codes is None:
        return f"{eps:g} elements"
    text = f"{codes}" if isinstance(codes, int) else " / ".join(map(str, codes))
    return f"{eps:.6g} of the pixel range ({255 * eps:.4g}/255), {text} whole codes"


def _notes(run: AttackRun, figures: dict) -> list[str]:
    notes = []
    if run.conditions.setting == "transfer":
        notes.append(f"after rounding to nearest the largest change is {figures['achieved_linf']:.6g}")
    if figures["found_but_not_kept"]:
        notes.append(f"{figures['found_but_not_kept']} successes of the search do not hold on the back end")
    if run.outside_budget:
        notes.append(f"{run.outside_budget} successes lie outside the budget and do not count")
    return notes
