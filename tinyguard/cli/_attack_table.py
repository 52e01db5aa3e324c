# SPDX-License-Identifier: Apache-2.0
"""What people read of an attack: its figures, notes, and the checks for gradient masking."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from tinyguard.cli._options import console
from tinyguard.robustness.attack_run import AttackRun

_TIMED = {"slowdown": "answered before the last exit", "early-wrong": "answered right"}


def show_attack(run: AttackRun, output: Path | None) -> None:
    """A run's figures as a table."""
    figures = run.as_dict()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("attack", f"{figures['attack']}, {figures['norm']}, {figures['setting']}")
    if figures["eps"] is not None:
        table.add_row("eps", _budget(figures))
    table.add_row("back end", figures["backend"])
    if "output" in figures:
        table.add_row("output", figures["output"])
    if "on" in figures:
        table.add_row("on", figures["on"] + (", keeps the answer" if figures["keep_answer"] else ""))
        table.add_row("exit policy", figures["policy"])
    table.add_row("samples", f"{figures['samples']:,}")
    for label, key in (
        ("accuracy before", "clean_accuracy"),
        ("accuracy under attack", "accuracy_under_attack"),
        ("of those right before", "robust_share_of_correct"),
    ):
        table.add_row(label, _with_interval(figures[key], figures["ci95"][key]))
    if figures.get("on") in _TIMED:
        share = _with_interval(figures["success_share"], figures["success_share_ci95"])
        table.add_row("successes", f"{figures['successes']:,} of {figures['base']:,} {_TIMED[figures['on']]}")
        table.add_row("of these", share)
    else:
        table.add_row("successes", f"{figures['successes']:,}, of them only ties {figures['ties']:,}")
    table.add_row("network runs per sample", f"{figures['queries_mean']:,.1f}")
    for norm, label in (("linf", "Linf"), ("l2", "L2"), ("l1", "L1"), ("l0", "L0")):
        spread, middle = figures["distortion"][norm], figures["distortion_median"][norm]
        if spread["mean"] is not None:
            text = f"mean {spread['mean']:.5g}, median {middle:.5g}, largest {spread['max']:.5g}"
            table.add_row(f"{label} of successes", text)
    table.add_row("seconds", f"{figures['seconds']:,.1f} on {figures['threads']} threads")
    console.print(table)
    if "exits" in figures:
        _show_exits(figures["exits"])
    for note in _notes(run, figures):
        console.print(note)
    if run.checks:
        _show_checks(run)
    if output is not None:
        again = f"; `tinyguard attack MODEL --replay {output}` scores them again"
        console.print(f"inputs in {output}{'' if run.conditions.grid == 'none' else again}", soft_wrap=True)


def _with_interval(share: float, interval: list[float]) -> str:
    low, high = interval
    return f"{100 * share:.2f} %  [dim]95 %: {100 * low:.1f} to {100 * high:.1f}[/]"


def _show_exits(exits: dict) -> None:
    """Each exit on all samples, and where they leave."""
    table = Table(box=None, pad_edge=False)
    for name in ("exit", "accuracy before", "under attack", "leave here"):
        table.add_column(name, justify="right")
    rows = zip(exits["clean_accuracy"], exits["accuracy_under_attack"], exits["left_at"], strict=True)
    for number, (before, after, left) in enumerate(rows, start=1):
        table.add_row(f"{number}", f"{100 * before:.2f} %", f"{100 * after:.2f} %", f"{left:,}")
    mean = f"{100 * exits['mean_accuracy_under_attack']:.2f} %"
    table.add_row("mean", "", mean, f"exit {exits['mean_exit']:.3f}, before {exits['mean_exit_before']:.3f}")
    console.print(table)
    pairs = (exits["mean_cost_before"], exits["mean_cost"], exits["efficacy_before"], exits["efficacy"])
    console.print(
        "mean cost {:.3f} of the last exit's, now {:.3f}; efficacy {:.3f}, now {:.3f}".format(*pairs)
    )
    if "transfer" in exits:
        moved = exits["transfer"]
        of_all = ", ".join(f"{100 * share:.1f}" for share in moved["of_all"])
        of_fooled = ", ".join("-" if s is None else f"{100 * s:.1f}" for s in moved["of_fooled"])
        console.print(f"wrong at each exit, % of all samples: {of_all}; of those fooled here: {of_fooled}")


def _show_checks(run: AttackRun) -> None:
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
    console.print(table)
    mask = run.extra.get("mask")
    if mask is not None:
        exact, leaky = (100 * mask[f"{name}_robust_share_of_correct"] for name in ("exact", "leaky"))
        text = (
            f"exact gradients leave {exact:.2f} % of those right before, through leaky clamps {leaky:.2f} %"
        )
        console.print(f"{text}: the figure is the {mask['reported']} one's")


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
