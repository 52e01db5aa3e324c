"""One piece of a campaign, run in whatever process or machine got it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from tinyguard.campaigns.cells import Piece, attack_of, codes_of
from tinyguard.campaigns.store import overlaid, pack, unpack
from tinyguard.campaigns.study import NetworkEntry
from tinyguard.evaluation.attack_run import AttackRun
from tinyguard.evaluation.robustness import attack_samples
from tinyguard.evaluation.settings import parameters_of
from tinyguard.evaluation.target import Target, open_target
from tinyguard.evaluation.targets import wanted_classes


def run_piece(piece: Piece, earlier: bytes | None) -> bytes:
    """The packed AttackRun of a piece; `earlier` is the packed piece whose successes it inherits.

    Where the study's files are reached by path, every machine must see them at the same place.
    """
    inherited = None if earlier is None else unpack(earlier)
    codes, labels = codes_of(piece.cell.network, piece.data, piece.limit)
    rows = np.arange(piece.start, piece.stop)
    target = _target(piece.cell.network)
    targets = None
    if piece.cell.entry.targeted is not None:
        wanted, differs = wanted_classes(piece.cell.entry.targeted, labels[rows], target.classes)
        rows, targets = rows[differs], wanted[differs]
    left = np.arange(len(rows)) if inherited is None else np.flatnonzero(~inherited.success)
    if inherited is not None and not len(left):
        return pack(_same(piece, inherited))
    run = attack_samples(
        target,
        attack_of(piece.cell),
        piece.cell.setting,
        codes[rows[left]],
        labels[rows[left]],
        ids=rows[left],
        targets=None if targets is None else targets[left],
        eps=piece.cell.eps,
        seed=piece.seed,
    )
    return pack(run if inherited is None else overlaid(inherited, run, left))


def _same(piece: Piece, inherited: AttackRun) -> AttackRun:
    """Nothing is left to attack: the smaller budget's successes at this one."""
    conditions = replace(
        inherited.conditions,
        eps=piece.cell.eps,
        eps_codes=piece.cell.eps_codes,
        parameters=parameters_of(attack_of(piece.cell)),
    )
    extra = {"inherited": int(inherited.success.sum())}
    return replace(inherited, conditions=conditions, seconds=0.0, extra=extra)


@lru_cache(maxsize=4)
def _target(network: NetworkEntry) -> Target:
    return open_target(
        Path(network.model),
        backend=network.backend,
        source=network.source,
        grid=network.grid,
        show=network.scores,
    )
