# SPDX-License-Identifier: Apache-2.0
"""Finished work on disk: one .npz a piece, written at once, so that a killed campaign resumes."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.files import write_atomically
from tinyguard.robustness.attack_run import AttackRun, Check, Conditions
from tinyguard.robustness.distortion import Distances
from tinyguard.robustness.exit_run import ExitRun
from tinyguard.robustness.under_seeds import UnderSeeds

_ARRAYS = ("x", "y", "ids", "correct", "success", "tied", "claimed", "decided", "queries")
_OPTIONAL = ("targets", "nearest", "base")
_DISTANCES = tuple(field.name for field in fields(Distances))
_SEEDS = tuple(field.name for field in fields(UnderSeeds))
_EXITS = tuple(field.name for field in fields(ExitRun))


class Store:
    """A folder of pieces by their keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def keys(self) -> frozenset[str]:
        """Those of all pieces."""
        return frozenset(path.stem for path in self.folder.glob("*.npz"))

    def has(self, key: str) -> bool:
        return self.path(key).is_file()

    def read(self, key: str) -> bytes:
        return self.path(key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path(key), content)

    def drop_damaged(self, key: str) -> None:
        """Forget a piece that cannot be read, so that it is run again."""
        try:
            unpack(self.read(key))
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            self.path(key).unlink(missing_ok=True)


def pack(run: AttackRun) -> bytes:
    """An AttackRun as the bytes of an .npz file; `tinyguard attack --replay` reads it too."""
    arrays = {name: getattr(run, name) for name in _ARRAYS}
    arrays |= {f"distance_{name}": run.distances.of(name) for name in _DISTANCES}
    arrays |= {name: getattr(run, name) for name in _OPTIONAL if getattr(run, name) is not None}
    if run.under_seeds is not None:
        arrays |= {f"seeds_{name}": getattr(run.under_seeds, name) for name in _SEEDS}
    if run.exits is not None:
        arrays |= {f"exits_{name}": getattr(run.exits, name) for name in _EXITS}
    rest = {"seconds": run.seconds, "outside_budget": run.outside_budget, "extra": dict(run.extra)}
    rest["checks"] = [asdict(check) for check in run.checks]
    arrays["run"] = np.array(json.dumps({"conditions": asdict(run.conditions), **rest}))
    arrays["model_sha256"] = np.array(run.conditions.model_sha256)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def unpack(content: bytes) -> AttackRun:
    """What `pack` wrote. Raises ValueError, KeyError, TypeError, EOFError or BadZipFile for anything else."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        rest = json.loads(str(arrays["run"]))
        seeds = {name: arrays[f"seeds_{name}"] for name in _SEEDS if f"seeds_{name}" in arrays}
        exits = {name: arrays[f"exits_{name}"] for name in _EXITS if f"exits_{name}" in arrays}
        return AttackRun(
            conditions=Conditions(**rest["conditions"]),
            distances=Distances(**{name: arrays[f"distance_{name}"] for name in _DISTANCES}),
            seconds=rest["seconds"],
            outside_budget=rest["outside_budget"],
            extra=rest["extra"],
            **{name: arrays.get(name) for name in _OPTIONAL},
            checks=tuple(Check(**check) for check in rest.get("checks", ())),
            under_seeds=UnderSeeds(**seeds) if seeds else None,
            exits=ExitRun(**exits) if exits else None,
            **{name: arrays[name] for name in _ARRAYS},
        )


def joined(runs: list[AttackRun]) -> AttackRun:
    """Pieces of one cell, in the order of their samples, as one run."""
    first = runs[0]
    return AttackRun(
        conditions=first.conditions,
        distances=Distances(**{n: np.concatenate([r.distances.of(n) for r in runs]) for n in _DISTANCES}),
        seconds=sum(run.seconds for run in runs),
        outside_budget=sum(run.outside_budget for run in runs),
        targets=None if first.targets is None else np.concatenate([_targets(run) for run in runs]),
        extra={"inherited": sum(run.extra.get("inherited", 0) for run in runs)},
        checks=first.checks,
        under_seeds=None if first.under_seeds is None else _side_by_side(runs),
        base=None if first.base is None else np.concatenate([run.attacked for run in runs]),
        exits=None if first.exits is None else _exits_joined([run.exits for run in runs if run.exits]),
        **{name: np.concatenate([getattr(run, name) for run in runs]) for name in _ARRAYS},
    )


def overlaid(earlier: AttackRun, later: AttackRun, rows: np.ndarray) -> AttackRun:
    """`earlier` with the samples `rows`, int64 positions, taken from `later`, whose conditions hold."""

    def over(below: np.ndarray, above: np.ndarray) -> np.ndarray:
        result = below.copy()
        result[rows] = above
        return result

    distances = {n: over(earlier.distances.of(n), later.distances.of(n)) for n in _DISTANCES}
    arrays: dict[str, Any] = {name: over(getattr(earlier, name), getattr(later, name)) for name in _ARRAYS}
    arrays["nearest"] = None
    if earlier.nearest is not None and later.nearest is not None:
        arrays["nearest"] = over(earlier.nearest, later.nearest)
    if earlier.base is not None and later.base is not None:
        arrays["base"] = over(earlier.base, later.base)
    if earlier.exits is not None and later.exits is not None:
        one, two = earlier.exits, later.exits
        parts = {name: over(getattr(one, name), getattr(two, name)) for name in _EXITS if name != "cost"}
        arrays["exits"] = replace(one, **parts)
    return replace(
        later,
        distances=Distances(**distances),
        targets=earlier.targets,
        extra={"inherited": int(earlier.success.sum())},
        **arrays,
    )


def _exits_joined(runs: list[ExitRun]) -> ExitRun:
    parts = {name: np.concatenate([getattr(run, name) for run in runs]) for name in _EXITS if name != "cost"}
    return replace(runs[0], **parts)


def _targets(run: AttackRun) -> np.ndarray:
    assert run.targets is not None
    return run.targets


def _side_by_side(runs: list[AttackRun]) -> UnderSeeds:
    found = [run.under_seeds for run in runs if run.under_seeds is not None]
    return UnderSeeds(**{n: np.concatenate([getattr(each, n) for each in found], axis=-1) for n in _SEEDS})
