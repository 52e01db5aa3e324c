# SPDX-License-Identifier: Apache-2.0
"""One piece of a campaign, run in whatever process or machine got it."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from tinyguard.attacks.problem import Outcome
from tinyguard.campaigns.cell import Cell, Piece, attack_of, codes_of
from tinyguard.campaigns.keys import source_digest
from tinyguard.campaigns.piece_code import crafting_code
from tinyguard.campaigns.store import overlaid, pack, unpack
from tinyguard.campaigns.study import NetworkEntry
from tinyguard.files import write_atomically
from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.attacked_network import Target, open_target
from tinyguard.robustness.run import attack_samples, craft
from tinyguard.robustness.targets import wanted_classes
from tinyguard.robustness.threat_model import hides_from_source, parameters_of
from tinyguard.robustness.transfer import Source, open_sources
from tinyguard.robustness.trust.checks import masking_checks

_PIXEL_SLACK = 1e-4  # of the pixel range: under a tenth of a pixel, above half a 16-bit code


def run_piece(piece: Piece, earlier: bytes | None) -> bytes:
    """The packed AttackRun of a piece; `earlier` is the packed piece whose successes it inherits.

    Where the study's files are reached by path, every machine must see them at the same place.
    """
    inherited = None if earlier is None else unpack(earlier)
    codes, labels = codes_of(piece.cell.network, piece.data, piece.limit)
    rows = np.arange(piece.start, piece.stop)
    target = _target(piece.cell)
    targets = None
    if piece.cell.entry.targeted is not None:
        names = target.metadata.class_names if target.metadata else None
        wanted, differs = wanted_classes(piece.cell.entry.targeted, labels, target.classes, names)
        rows = rows[differs[rows]]
        targets = wanted[rows]
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
        crafted=_crafted(piece, target, rows, targets) if piece.cell.setting == "transfer" else None,
        nearest=_nearest(inherited, left),
    )
    if piece.cell.check:
        run = replace(run, checks=masking_checks(target, run, codes[rows], labels[rows]))
    return pack(run if inherited is None else overlaid(inherited, run, left))


def _nearest(inherited: AttackRun | None, left: np.ndarray) -> np.ndarray | None:
    """What the smaller budget's search left for the samples `left`; None where it broke off at a success that
    the back end did not keep."""
    if inherited is None or inherited.nearest is None or inherited.claimed[left].any():
        return None
    return inherited.nearest[left]


def _crafted(piece: Piece, target: Target, rows: np.ndarray, targets: np.ndarray | None) -> Outcome:
    """A transfer's search on the float source, shared by the networks of one source through the folder."""
    codes, labels = codes_of(piece.cell.network, piece.data, piece.limit)
    attack = attack_of(piece.cell)
    clean = _pixels(target.space.shares(codes[rows]))
    said = [
        source_digest(piece.cell.network),
        attack.name,
        parameters_of(attack),
        piece.seed,
        crafting_code(attack.name),
    ]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    digest.update(clean.numpy().tobytes() + rows.tobytes() + labels[rows].tobytes())
    digest.update(b"" if targets is None else targets.tobytes())
    path = Path(piece.shared) / f"{digest.hexdigest()[:24]}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as arrays:
            names = ("x", "success", "queries")
            return Outcome(*(torch.from_numpy(arrays[name]) for name in names))
    found = craft(target, attack, clean, labels[rows], ids=rows, targets=targets, seed=piece.seed)
    stream = io.BytesIO()
    np.savez(stream, x=found.x.numpy(), success=found.success.numpy(), queries=found.queries.numpy())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, stream.getvalue())
    return found


def _pixels(shares: torch.Tensor) -> torch.Tensor:
    """What stands for whole pixels as exactly those: codes of 8 and of 16 bits round them apart."""
    whole = torch.round(shares * 255) / 255
    return whole if torch.allclose(whole, shares, rtol=0, atol=_PIXEL_SLACK) else shares


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


def _target(cell: Cell) -> Target:
    """The cell's network, with its float source where the cell needs that: a source takes seconds to open."""
    network, opened = cell.network, _opened(cell.network)
    needed = cell.setting == "transfer" or cell.check or hides_from_source(attack_of(cell))
    if network.source is None or opened.is_float or not needed:
        return opened
    tensor = opened.graph.tensors[opened.graph.inputs[0]]
    like = _Input(str(tensor.quantization), tensor.shape, opened.classes, opened)
    return replace(opened, float_victim=_source(network.source, like))


@lru_cache(maxsize=8)
def _opened(network: NetworkEntry) -> Target:
    target = open_target(
        Path(network.model),
        backend=network.backend,
        source=network.source if network.backend == "float" else None,
        grid=network.grid,
        show=network.scores,
        filter_gradient=network.filter_gradient,
        detector=network.detector,
        masks=network.masks,
        output=network.output,
        on=network.on,
        keep_answer=network.keep_answer,
        purify=None if network.purifier is None else network.purifier.transform(),
    )
    return replace(target, source=network.source)


@dataclass(frozen=True)
class _Input:
    """What a float source is opened for: networks of one input share it."""

    quantization: str
    shape: tuple[int, ...]
    classes: int
    target: Target = field(compare=False)


@lru_cache(maxsize=4)
def _source(source: str, like: _Input) -> Source:
    target = like.target
    return open_sources([source], target.graph, target.normalization, target.batch_size)
