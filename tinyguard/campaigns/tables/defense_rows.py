# SPDX-License-Identifier: Apache-2.0
"""The finished cells of a study of defenses as records: one per defense, and one per attack and budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinyguard.campaigns.cell import Cell
from tinyguard.campaigns.defense_study import ADAPTIVE, baseline, has_filters, is_squeezing, knows_seed
from tinyguard.campaigns.study import NetworkEntry, Study
from tinyguard.campaigns.tables.defense_figures import Figure, figure_of, strongest, weaker_than_transfer
from tinyguard.campaigns.tables.study_table import UNFINISHED
from tinyguard.measure.cost import Cost
from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.budget import inside
from tinyguard.robustness.under_seeds import mean_and_deviation

SETTINGS = {"transfer": "transfer", "black-box": "black_box", "white-box": "adaptive"}
"""The settings in the order of the columns, the strongest last."""
KNOWN_SEED = ", seed known"
WORST = "all attacks"


@dataclass(frozen=True)
class Table:
    """`defenses`: clean accuracy, checks and costs. `attacks`: what every attack leaves of every defense."""

    defenses: list[dict[str, Any]]
    attacks: list[dict[str, Any]]


def table_of(
    study: Study, cells: Sequence[Cell], runs: dict[int, AttackRun], costs: dict[str, Cost | str]
) -> Table:
    """All that is known; cells without a run have no figure and a note."""
    attacks: list[dict[str, Any]] = []
    defenses: list[dict[str, Any]] = []
    for network in study.networks:
        own = [cell for cell in cells if cell.network.name == network.name]
        rows = [*_attack_rows(network, [cell for cell in own if not cell.check], runs)]
        attacks += rows
        clean = next((row["clean"] for row in rows if row["clean"] and not row["seed_known"]), None)
        checks = [runs[cell.index] for cell in own if cell.check and cell.index in runs]
        defenses.append(
            {
                "defense": network.name,
                "undefended": network.name == baseline(study).name,
                "clean": clean,
                "flags": sum(bool(row["flag"]) for row in rows),
                **_checks(checks),
                **_costs(network.name, baseline(study).name, costs),
            }
        )
    return Table(defenses, attacks)


def _attack_rows(
    network: NetworkEntry, cells: Sequence[Cell], runs: dict[int, AttackRun]
) -> Iterator[dict[str, Any]]:
    groups: dict[tuple[str, float | None, bool], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.entry.label, cell.eps, knows_seed(cell)), []).append(cell)
    for (label, eps, known), group in groups.items():
        if known:
            fresh = [cell for cell in groups[label, eps, False] if cell.setting == ADAPTIVE]
            yield _row(network, label, group + fresh, _with_own_masks(runs))
        else:
            yield _row(network, label, group, runs)
    budgets: dict[tuple[str, float, int, str | None], list[Cell]] = {}
    for cell in cells:
        if cell.eps is not None and not knows_seed(cell):
            key = (cell.norm, cell.eps, cell.entry.limit, cell.entry.targeted)
            budgets.setdefault(key, []).append(cell)
    for group in budgets.values():
        if len({cell.entry.label for cell in group}) > 1:
            yield _row(network, WORST, group, runs) | dict.fromkeys(SETTINGS.values()) | {"flag": ""}


def _with_own_masks(runs: dict[int, AttackRun]) -> dict[int, AttackRun]:
    """The runs as scored under the file's seed: who knows it can also send what others find without it."""
    return {index: replace(run, under_seeds=None) for index, run in runs.items()}


def _row(
    network: NetworkEntry, label: str, group: Sequence[Cell], runs: dict[int, AttackRun]
) -> dict[str, Any]:
    figures = {name: _figure(group, setting, runs) for setting, name in SETTINGS.items()}
    present = [figure for figure in reversed(figures.values()) if figure is not None]
    adaptive, transfer, first = figures["adaptive"], figures["transfer"], group[0]
    known, more = knows_seed(first), _rounded_up(group, runs)
    return {
        "defense": network.name,
        "attack": label + KNOWN_SEED if known else label,
        "norm": first.norm,
        "eps": first.eps,
        "eps_codes": first.eps_codes,
        "samples": present[0].right.shape[1] if present else None,
        "seeds": len(present[0].right) if present else None,
        "seed_known": known,
        "clean": mean_and_deviation(present[0].right) if present else None,
        **{name: None if figure is None else figure.as_dict() for name, figure in figures.items()},
        "worst": strongest(present).as_dict() if present else None,
        "flag": weaker_than_transfer(adaptive, transfer) if adaptive and transfer and not more else "",
        "note": _note(group, runs) or ("rounding takes the transfer beyond eps" if more else ""),
    }


def _figure(group: Sequence[Cell], setting: str, runs: dict[int, AttackRun]) -> Figure | None:
    """The strongest of the group's attacks in a setting; None while one is missing."""
    cells = [cell for cell in group if cell.setting == setting]
    of_cells = [_run(cell, runs) for cell in cells]
    if not cells or any(run is None for run in of_cells):
        return None
    return strongest([figure_of(run, _rule(cell)) for cell, run in zip(cells, of_cells, strict=True) if run])


def _run(cell: Cell, runs: dict[int, AttackRun]) -> AttackRun | None:
    return runs.get(cell.index if cell.equal_to is None else cell.equal_to)


def _rule(cell: Cell) -> str:
    """What tells this attack from others of its row."""
    parts = [cell.entry.label, cell.setting]
    if cell.setting == ADAPTIVE:
        parts += [cell.network.filter_gradient] if has_filters(cell.network) else []
        parts += [f"detector {cell.network.detector}"] if is_squeezing(cell.network) else []
        parts += ["EOT"] if cell.network.masks else ["seed"] if knows_seed(cell) else []
    return ", ".join(parts)


def _rounded_up(group: Sequence[Cell], runs: dict[int, AttackRun]) -> bool:
    """Whether transfers succeed with more whole codes than a direct attack has, and say nothing of it."""
    own = [cell for cell in group if cell.setting == "transfer" and cell.norm == "linf"]
    transfers = [(cell.eps, _run(cell, runs)) for cell in own]
    return any(
        eps and run and not inside(run.distances.linf[run.success], eps).all() for eps, run in transfers
    )


def _note(group: Sequence[Cell], runs: dict[int, AttackRun]) -> str:
    if any(not cell.unreachable and _run(cell, runs) is None for cell in group):
        return UNFINISHED
    under = any(cell.unreachable for cell in group)
    return "under one code: no direct attack has an input in reach" if under else ""


def _checks(runs: Sequence[AttackRun]) -> dict[str, Any]:
    """The checks for gradient masking of the strongest view."""
    if not runs:
        return {"checks": [], "failed_checks": None}
    best = runs[int(np.argmin([run.left for run in runs]))]
    return {
        "checks": [
            {"name": c.name, "passed": c.passed, "value": c.value, "note": c.note} for c in best.checks
        ],
        "failed_checks": [check.name for check in best.checks if not check.passed],
    }


def _costs(name: str, undefended: str, costs: dict[str, Cost | str]) -> dict[str, Any]:
    own, base = costs.get(name), costs.get(undefended)
    if not isinstance(own, Cost):
        return {"cost": None, "added": None, "cost_note": own or ""}
    added = own.beyond(base) if isinstance(base, Cost) else None
    return {"cost": own.as_dict(), "added": added, "cost_note": ""}
