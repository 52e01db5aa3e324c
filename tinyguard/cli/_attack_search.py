# SPDX-License-Identifier: Apache-2.0
"""What `tinyguard attack` does: from options as typed to one run, its file and its picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyguard.attacks import find_attack
from tinyguard.attacks.problem import Attack
from tinyguard.cli._model import board_port
from tinyguard.cli._progress import sample_progress
from tinyguard.data.network_codes import read_codes
from tinyguard.data.shares import shares_of
from tinyguard.errors import TinyguardError
from tinyguard.report.loss_surface import write_loss_surface
from tinyguard.report.plot import can_plot, check_plot
from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.attacked_network import Target, open_target
from tinyguard.robustness.budget import check_eps, parse_eps
from tinyguard.robustness.run import attack_samples
from tinyguard.robustness.stored_inputs import save_adversarial
from tinyguard.robustness.targets import wanted_classes
from tinyguard.robustness.threat_model import check_access, default_setting, make_attack, norm_of
from tinyguard.robustness.trust.surface import loss_surface

_USUAL_EPS = 8 / 255


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
    on: str | None = None
    keep_answer: bool = False


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
        on=options.on,
        keep_answer=options.keep_answer,
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
        _draw_surface(picture, target, run, codes, required=options.surface is not None)
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


def _draw_surface(path: Path, target: Target, run: AttackRun, codes: np.ndarray, *, required: bool) -> None:
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
