# SPDX-License-Identifier: Apache-2.0
"""Adversarial inputs in a file, and scoring them again anywhere, with or without PyTorch."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.backends import Backend
from tinyguard.errors import TinyguardError
from tinyguard.evaluation.agreement import Agreement, agreement
from tinyguard.files import write_atomically
from tinyguard.graph import Graph
from tinyguard.graph.answer import class_count
from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.exit_success import won
from tinyguard.robustness.scoring import outputs_of, scores_of


@dataclass(frozen=True, eq=False)
class Adversarial:
    """Stored inputs: `x` codes (N, *shape), or float32 [0, 1] pixels found on a float network, labels `y`
    int64 (N,), `success` bool (N,), `ids` int64 (N,), `targets` int64 (N,) or None, `taken` int64 (N,) or
    None, the exit that the clean input took, the network's `model_sha256` and the `record` that `tinyguard
    attack --json` printed. Files of others may lack all but the first three."""

    x: np.ndarray
    y: np.ndarray
    success: np.ndarray
    ids: np.ndarray
    targets: np.ndarray | None = None
    model_sha256: str | None = None
    record: dict[str, Any] | None = None
    taken: np.ndarray | None = None

    @property
    def on(self) -> str | None:
        """What the attack on a network with exits was after."""
        return (self.record or {}).get("on")


def save_adversarial(path: Path, run: AttackRun) -> None:
    """Write `run`'s inputs as .npz: arrays x, y, success, ids, correct, decided, queries, model_sha256,
    record (JSON), targets where there are some, and of a network with exits taken."""
    arrays: dict[str, Any] = {
        "x": run.x,
        "y": run.y,
        "success": run.success,
        "ids": run.ids,
        "correct": run.correct,
        "decided": run.decided,
        "queries": run.queries,
        "model_sha256": np.array(run.conditions.model_sha256),
        "record": np.array(json.dumps(run.as_dict())),
    }
    if run.targets is not None:
        arrays["targets"] = run.targets
    if run.exits is not None:
        arrays["taken"] = run.exits.taken_before
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    write_atomically(path, stream.getvalue())


def load_adversarial(path: Path) -> Adversarial:
    """Read what `save_adversarial` wrote. Raises TinyguardError for files that hold something else."""
    try:
        with zipfile.ZipFile(path):  # numpy.load takes other files too
            pass
        with np.load(path, allow_pickle=False) as arrays:
            missing = [name for name in ("x", "y", "success") if name not in arrays]
            if missing:
                raise TinyguardError(
                    f"{path} holds no array {missing[0]}: give a file that tinyguard attack -o wrote"
                )
            x, y, success = arrays["x"], arrays["y"], arrays["success"]
            ids = arrays["ids"] if "ids" in arrays else np.arange(y.size)
            targets = arrays.get("targets")
            sha = str(arrays["model_sha256"]) if "model_sha256" in arrays else None
            record = json.loads(str(arrays["record"])) if "record" in arrays else None
            taken = arrays.get("taken")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TinyguardError(
            f"{path} cannot be read ({type(error).__name__}): give a file that tinyguard attack -o wrote"
        ) from None
    rows = [array for array in (y, success, ids, targets, taken) if array is not None]
    if any(array.shape != x.shape[:1] for array in rows) or x.ndim == 0 or y.dtype.kind not in "iu":
        raise TinyguardError(f"{path}: x, y and success do not have one entry per sample: write it anew")
    return Adversarial(x, y.astype(np.int64), success.astype(bool), ids, targets, sha, record, taken)


@dataclass(frozen=True)
class Replay:
    """Stored inputs on a back end, beside the exact host network.

    `accuracy` counts right answers on the back end; `successes` are the stored ones, `survived` those of
    them that fool the back end. `same_model`: the inputs were found on this very file, None where unknown.
    Of a network with exits: `mean_exit`, from 1, on the back end, and `differing_exits`, samples that leave
    elsewhere than on the host. `per_inference`: mean count of a board, in `unit`.
    """

    samples: int
    backend: str
    agreement: Agreement
    accuracy: float
    successes: int
    survived: int
    same_model: bool | None
    mean_exit: float | None = None
    differing_exits: int | None = None
    per_inference: float | None = None
    unit: str | None = None

    @property
    def differing_predictions(self) -> int:
        """Samples whose class is not the host's."""
        return self.agreement.differing_predictions or 0

    def as_dict(self) -> dict[str, Any]:
        """For --json. `agreement_share`: samples whose predicted class is the host's."""
        return {
            "samples": self.samples,
            "backend": self.backend,
            "differing_bytes": self.agreement.differing_bytes,
            "differing_predictions": self.differing_predictions,
            "agreement_share": 1 - self.differing_predictions / max(1, self.samples),
            "accuracy": self.accuracy,
            "successes": self.successes,
            "survived": self.survived,
            "same_model": self.same_model,
            **({} if self.mean_exit is None else {"mean_exit": self.mean_exit}),
            **({} if self.differing_exits is None else {"differing_exits": self.differing_exits}),
            **(
                {} if self.per_inference is None else {"per_inference": self.per_inference, "unit": self.unit}
            ),
        }


def replay(
    stored: Adversarial,
    graph: Graph,
    backend: Backend,
    exact: Backend,
    progress: Callable[[int], None] = lambda done: None,
) -> Replay:
    """Run stored inputs on `backend` and on the `exact` host network.

    Raises TinyguardError for inputs of another shape or dtype, real ones, and labels out of range.
    """
    check_stored(stored, graph)
    counts: list[np.ndarray] = []

    def note(done: int) -> None:
        if hasattr(backend, "counts"):
            counts.append(backend.counts[~backend.disturbed])  # type: ignore[attr-defined]
        progress(done)

    outputs = outputs_of(backend, stored.x, note)
    final = scores_of(graph, outputs, stored.y)
    host = outputs if backend is exact else exact.run(stored.x)
    fooled = final.fooled(stored.y, stored.targets)
    if stored.taken is not None and final.exit is not None:
        fooled = won(stored.on, stored.taken, final, stored.y, stored.targets)
    measured = np.concatenate(counts) if counts else np.zeros(0)
    apart = None if final.exit is None else final.exit != scores_of(graph, host, stored.y).exit
    return Replay(
        samples=len(stored.y),
        backend=backend.name,
        agreement=agreement(graph, host, outputs),
        accuracy=float((final.decided == stored.y).mean()),
        successes=int(stored.success.sum()),
        survived=int((stored.success & fooled).sum()),
        same_model=None if stored.model_sha256 is None else stored.model_sha256 == graph.sha256,
        mean_exit=None if final.exit is None else float(final.exit.mean()),
        differing_exits=None if apart is None else int(apart.sum()),
        per_inference=float(measured.mean()) if len(measured) else None,
        unit=getattr(backend, "unit", None),
    )


def check_stored(stored: Adversarial, graph: Graph) -> None:
    """Raise TinyguardError unless the network of `graph` can be given `stored`."""
    tensor = graph.tensors[graph.inputs[0]]
    classes = class_count(graph)
    if len(stored.x) == 0:
        raise TinyguardError("the adversarial inputs are none: attack at least one sample")
    if stored.x.dtype == np.float32:
        raise TinyguardError(
            "the adversarial inputs are real values, found on the float network, and no device can be given "
            "them: attack with --setting transfer"
        )
    if stored.x.shape[1:] != tuple(tensor.shape[1:]) or str(stored.x.dtype) != tensor.dtype:
        raise TinyguardError(
            f"the adversarial inputs are {stored.x.dtype} {stored.x.shape[1:]} and the network takes "
            f"{tensor.dtype} {tuple(tensor.shape[1:])}: give the network they were found on"
        )
    if stored.y.min() < 0 or stored.y.max() >= classes:
        raise TinyguardError(f"the adversarial inputs have labels outside the classes 0 to {classes - 1}")
