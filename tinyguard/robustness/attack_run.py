# SPDX-License-Identifier: Apache-2.0
"""What an attack on a network came to: the stored inputs, and the figures computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinyguard.robustness.budget import inside
from tinyguard.robustness.distortion import NORMS, Distances, median, spread
from tinyguard.robustness.exit_run import ExitRun
from tinyguard.robustness.intervals import wilson
from tinyguard.robustness.under_seeds import UnderSeeds


@dataclass(frozen=True)
class Check:
    """One check for gradient masking: its name, whether it passed, and the number it rests on."""

    name: str
    passed: bool
    value: float | None
    note: str = ""


@dataclass(frozen=True)
class Conditions:
    """What was run, where, and how: everything that identifies a figure but the samples.

    `eps` in fractions of the pixel range (L0: in elements), None without a budget; `eps_codes` the
    whole codes in it. `parameters` are the attack's own. `output`: the name of the one that was judged, where
    the network has several. Of a network with exits: what the attack was `on`, whether a slowdown was to
    `keep_answer`, the `policy` in force.
    """

    attack: str
    norm: str
    eps: float | None
    eps_codes: int | list[int] | None
    setting: str
    scores: str
    backend: str
    grid: str
    parameters: Mapping[str, Any]
    seed: int
    batch_size: int
    threads: int
    model_sha256: str
    source: str | None
    version: str
    filter_gradient: str = "smooth"
    against_detector: bool = False
    output: str | None = None
    on: str | None = None
    keep_answer: bool = False
    policy: str | None = None


@dataclass(frozen=True, eq=False)
class AttackRun:
    """All arrays have one row per sample (N): `x` what the back end was given (codes; float32 [0, 1] pixels
    where a float network was attacked off the grid), labels `y`, `ids`, `correct` before the attack,
    `success` of the attack on the back end (within the budget), `tied` where the label shares the maximum,
    `claimed` what the attack found where it searched, `queries` network runs, `decided` classes, `targets`
    of a targeted attack. `nearest`: inputs like `x`, as `Outcome` has them, for the same attack under a
    larger budget. `under_seeds`: figures of a stochastic network whose masks the attack did not know; all
    others are then those of the file's seed. `base`: the samples that the attack is about, None for those
    right before; `exits`: what the exits say, in a network with exits."""

    conditions: Conditions
    x: np.ndarray
    y: np.ndarray
    ids: np.ndarray
    correct: np.ndarray
    success: np.ndarray
    tied: np.ndarray
    claimed: np.ndarray
    decided: np.ndarray
    queries: np.ndarray
    distances: Distances
    seconds: float
    targets: np.ndarray | None = None
    outside_budget: int = 0
    checks: tuple[Check, ...] = ()
    equal_to: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    under_seeds: UnderSeeds | None = None
    nearest: np.ndarray | None = None
    base: np.ndarray | None = None
    exits: ExitRun | None = None

    @property
    def samples(self) -> int:
        return len(self.y)

    @property
    def left(self) -> int:
        """Samples that were right and still are."""
        return int((self.correct & ~self.wrong).sum())

    @property
    def wrong(self) -> np.ndarray:
        """bool (N,): where the attack made the answer wrong; a slowdown's success need not."""
        return self.success if self.conditions.on != "slowdown" else self.decided != self.y

    @property
    def attacked(self) -> np.ndarray:
        """bool (N,): the samples that the attack is about."""
        return self.correct if self.base is None else self.base

    @property
    def ties(self) -> int:
        """Successes that are only ties: the label's own output equals the maximum."""
        return int((self.success & self.tied).sum())

    def under(self, eps: float, eps_codes: int | list[int] | None) -> AttackRun:
        """A minimum-norm attack's run under a smaller budget: what lies beyond it is no success."""
        success = self.success & inside(self.distances.of(self.conditions.norm), eps)
        return replace(
            self,
            conditions=replace(self.conditions, eps=eps, eps_codes=eps_codes),
            success=success,
            tied=self.tied & success,
            outside_budget=self.outside_budget + int((self.success & ~success).sum()),
        )

    def as_dict(self) -> dict[str, Any]:
        """For --json: the promised keys first, useful ones after them."""
        c, count, correct, won = self.conditions, self.samples, int(self.correct.sum()), self.success
        attacked = self.queries[self.attacked]
        return {
            "attack": c.attack,
            "norm": c.norm,
            "eps": c.eps,
            "eps_codes": c.eps_codes,
            "setting": c.setting,
            "scores": c.scores,
            "backend": c.backend,
            "samples": count,
            "clean_accuracy": _share(correct, count),
            "accuracy_under_attack": _share(self.left, count),
            "robust_share_of_correct": _share(self.left, correct),
            "ci95": {
                "clean_accuracy": list(wilson(correct, count)),
                "accuracy_under_attack": list(wilson(self.left, count)),
                "robust_share_of_correct": list(wilson(self.left, correct)),
            },
            "ties": self.ties,
            "queries_mean": float(attacked.mean()) if len(attacked) else 0.0,
            "seconds": round(self.seconds, 3),
            "distortion": {norm: spread(self.distances.of(norm)[won]) for norm in NORMS},
            "checks": [{"name": k.name, "passed": k.passed, "value": k.value} for k in self.checks],
            **self._beyond(),
        }

    def _beyond(self) -> dict[str, Any]:
        c, won = self.conditions, self.success
        return {
            "successes": int(won.sum()),
            "accuracy_if_ties_hold": _share(self.left + self.ties, self.samples),
            "queries_mean_success": float(self.queries[won].mean()) if won.any() else None,
            "distortion_median": {norm: median(self.distances.of(norm)[won]) for norm in NORMS},
            "l0_pixels": spread(self.distances.l0_pixels[won]),
            "achieved_linf": float(self.distances.linf.max(initial=0.0)),
            "found_but_not_kept": int((self.claimed & ~won).sum()),
            "outside_budget": self.outside_budget,
            "targeted": self.targets is not None,
            "equal_to": self.equal_to,
            "parameters": dict(c.parameters),
            "grid": c.grid,
            "seed": c.seed,
            "threads": c.threads,
            "batch_size": c.batch_size,
            "model_sha256": c.model_sha256,
            "source": c.source,
            "tinyguard": c.version,
            **({} if c.output is None else {"output": c.output}),
            **({} if c.on is None else self._on()),
            **({} if self.under_seeds is None else {"under_seeds": self.under_seeds.as_dict()}),
            **self.extra,
        }

    def _on(self) -> dict[str, Any]:
        """Of a network with exits; `base` counts the samples that the attack is about."""
        c, base, won = self.conditions, int(self.attacked.sum()), int(self.success.sum())
        name, _, number = (c.on or "").partition(":")
        made_on = int(number) if name == "exit" else None
        return {
            "on": c.on,
            "keep_answer": c.keep_answer,
            "policy": c.policy,
            "base": base,
            "success_share": _share(won, base),
            "success_share_ci95": list(wilson(won, base)),
            **({} if self.exits is None else {"exits": self.exits.as_dict(self.y, made_on)}),
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
