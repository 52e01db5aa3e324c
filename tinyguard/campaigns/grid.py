# SPDX-License-Identifier: Apache-2.0
"""The cells of a study, networks x attacks x settings x budgets, and the pieces of work they come to.

A sample's attack depends on the sample alone, so a cell can be cut into pieces of some samples each and
the pieces joined again without changing a byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinyguard.attacks import find_attack
from tinyguard.campaigns.cell import Cell, Piece, attack_of, codes_of
from tinyguard.campaigns.keys import key_of
from tinyguard.campaigns.study import AttackEntry, NetworkEntry, Study
from tinyguard.errors import TinyguardError
from tinyguard.robustness.budget import check_eps, eps_codes, equal_budgets, parse_eps
from tinyguard.robustness.threat_model import check_access, default_setting, norm_of

Views = Callable[[NetworkEntry, str], Sequence[NetworkEntry]]
"""The ways in which a network is attacked in one setting."""


def as_it_is(network: NetworkEntry, setting: str) -> tuple[NetworkEntry, ...]:
    """The one view of a study that compares no defenses."""
    del setting
    return (network,)


def cells_of(study: Study, views: Views = as_it_is) -> tuple[Cell, ...]:
    """Raises TinyguardError for everything in the study that could not run."""
    cells: list[Cell] = []
    for entry in study.attacks:
        for network in (study.network(name) for name in entry.networks):
            try:
                for setting in _settings(entry, network):
                    for view in views(network, setting):
                        for aimed in _aimed(view, entry):
                            cells.extend(_chain(len(cells), aimed, entry, setting))
            except TinyguardError as error:
                raise TinyguardError(f"{study.path}: {entry.label} on {network.name}: {error}") from None
    return tuple(cells)


def pieces_of(study: Study, cells: tuple[Cell, ...], shared: Path) -> tuple[Piece, ...]:
    """All pieces, those that others wait for first. `shared`: a folder for what they have in common."""
    pieces: dict[tuple[int, int], Piece] = {}
    for cell in cells:
        if not cell.runs:
            continue
        samples = len(codes_of(cell.network, study.data, study.limit)[0])
        for start in range(0, min(cell.entry.limit, samples), study.shard):
            stop = min(start + study.shard, cell.entry.limit, samples)
            after = None if cell.inherits is None else pieces[cell.inherits, start].key
            piece = Piece("", cell, study.data, study.limit, study.seed, start, stop, after, str(shared))
            pieces[cell.index, start] = replace(piece, key=key_of(piece))
    return tuple(pieces.values())


def _settings(entry: AttackEntry, network: NetworkEntry) -> Iterator[str]:
    """The settings that make sense: the float network is the source of a transfer, not its victim."""
    attack = find_attack(entry.attack)
    for setting in entry.settings or (default_setting(attack),):
        check_access(attack, setting)
        if not (setting == "transfer" and network.backend == "float"):
            yield setting


def _aimed(network: NetworkEntry, entry: AttackEntry) -> Iterator[NetworkEntry]:
    """The network as each goal of the attack has it; one without exits has no goal."""
    from tinyguard.graph.multi_exit import exit_tensors
    from tinyguard.tflite import read_graph

    exits = bool(exit_tensors(read_graph(Path(network.model), output=network.output)))
    shown = entry.scores or network.scores
    for on in entry.on:
        goal = on or ("answer" if exits else None)
        yield replace(network, on=goal, keep_answer=entry.keep_answer, scores=shown)


def _chain(first: int, network: NetworkEntry, entry: AttackEntry, setting: str) -> list[Cell]:
    """The budgets of one network, attack and setting, smallest first."""
    from tinyguard.data.shares import shares_of
    from tinyguard.graph.answer import check_answer
    from tinyguard.tflite import read_graph, read_metadata

    graph, metadata = (
        read_graph(Path(network.model), output=network.output),
        read_metadata(Path(network.model)),
    )
    try:
        check_answer(graph)
    except TinyguardError as error:
        raise TinyguardError(f"[[network]] {network.name}: {error}, in a study: output = NAME or N") from None
    normalization = metadata.normalization if metadata else None
    tensor = graph.tensors[graph.inputs[0]]
    shares = shares_of(tensor, normalization)
    budgets = [None if eps is None else parse_eps(str(eps), shares) for eps in entry.eps]
    base = attack_of(Cell(0, network, entry, setting, "", budgets[0], None))
    norm = norm_of(base)
    if budgets == [None]:
        return [Cell(first, network, entry, setting, norm, getattr(base, "eps", None), None)]
    known = sorted(eps for eps in budgets if eps is not None)
    for eps in known:
        check_eps(eps, norm)
    steps = _grid_steps(network, tensor.dtype, shares.step)
    direct = setting != "transfer" and steps is not None and norm == "linf"
    equal = equal_budgets(known, steps) if direct and steps is not None else {eps: eps for eps in known}
    counted = norm == "l0"  # in elements, not of the pixel range
    cells: list[Cell] = []
    last: int | None = None
    for index, eps in enumerate(known, first):
        codes = None if steps is None or counted else eps_codes(eps, steps)
        under = direct and codes is not None and np.max(codes) < 1
        same = None if under or equal[eps] == eps else next(c.index for c in cells if c.eps == equal[eps])
        # An input that fools some masks at a smaller budget fools more of them at a larger one.
        settled = network.on in (None, "answer") or str(network.on).startswith("exit:")
        grows = base.budgeted and setting != "transfer" and network.masks is None and settled
        inherits = last if grows and same is None and not under else None
        cells.append(Cell(index, network, entry, setting, norm, eps, codes, inherits, same, under))
        if cells[-1].runs:
            last = index
    if base.budgeted or network.masks is not None:
        return cells
    # How near a minimum-norm attack comes is one search; what lies beyond a budget is no success under it.
    return [replace(c, same_search_as=last) if c.runs and c.index != last else c for c in cells]


def _grid_steps(network: NetworkEntry, dtype: str, code_steps: tuple[float, ...]) -> tuple[float, ...] | None:
    """The size of a grid step in fractions of the pixel range, one per channel; None off the grid."""
    if network.backend == "float" and network.grid is None:
        return None
    grid = network.grid or ("codes" if dtype == "int8" else "pixels")
    return tuple(1 / 255 for _ in code_steps) if grid == "pixels" else code_steps
