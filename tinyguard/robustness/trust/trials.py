# SPDX-License-Identifier: Apache-2.0
"""Attacks on a few samples of a run, side by side: what the checks for gradient masking compare."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinyguard.attacks import find_attack
from tinyguard.attacks.pgd import PGD
from tinyguard.attacks.problem import Attack
from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.attacked_network import Target
from tinyguard.robustness.run import attack_samples

LEAK = 0.1  # fraction of the gradient that passes a saturated clamp in the leaky variant
SIGNIFICANT = 0.05
_USUAL_EPS = {"linf": 8 / 255, "l2": 0.5}


@dataclass(frozen=True, eq=False)
class Trials:
    """Samples that were right before the attack: `codes` (n, *shape), `labels`, `ids` int64 (n,), `targets`
    int64 (n,) or None. `climber` is the white-box attack that the others are compared with, `norm` and
    `eps` its budget, a whole number of codes on a grid. Everything is scored on the simulator, which equals
    the device, or on the float source where that is what was attacked."""

    target: Target
    climber: Attack
    norm: str
    eps: float
    codes: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    targets: np.ndarray | None
    seed: int

    def __len__(self) -> int:
        return len(self.labels)

    def broken(self, attack: Attack, setting: str = "white-box", target: Target | None = None) -> np.ndarray:
        """bool (n,): whether `attack` fools the network, as the inputs it found are scored again."""
        run = attack_samples(
            target or self.target, attack, setting, self.codes, self.labels, ids=self.ids,
            targets=self.targets, seed=self.seed,
        )  # fmt: skip
        return run.success

    def climbed(self, **changes: Any) -> np.ndarray:
        """`broken` by the white-box attack with other parameters."""
        return self.broken(replace(self.climber, **changes))  # type: ignore[type-var]

    @property
    def full_range(self) -> float:
        """The budget that allows every input."""
        return 1.0 if self.norm == "linf" else math.sqrt(self.codes[0].size)


def trials_of(target: Target, run: AttackRun, codes: np.ndarray, labels: np.ndarray, samples: int) -> Trials:
    """The first `samples` that were right before `run`, and a white-box attack of its budget.

    That attack is the run's own where its steps and starts can be varied, otherwise PGD with 20 steps. A
    run without a budget lends its median distance; one under a code of the input is raised to a code.
    """
    rows = np.flatnonzero(run.correct)[:samples]
    norm = run.conditions.norm if run.conditions.norm in PGD.norms else "linf"
    eps = _whole(target, norm, _budget(run, norm))
    return Trials(
        target=target if target.is_float else replace(target, backend=target.simulator),
        climber=_climber(run, norm, eps),
        norm=norm,
        eps=eps,
        codes=codes[rows],
        labels=np.asarray(labels, np.int64)[rows],
        ids=run.ids[rows],
        targets=None if run.targets is None else run.targets[rows],
        seed=run.conditions.seed,
    )


def attack_of(run: AttackRun) -> Attack:
    """The attack that `run` was made with."""
    cls: Any = find_attack(run.conditions.attack)
    attack: Attack = cls(**run.conditions.parameters)
    return attack


def leaky(target: Target) -> Target:
    """The same target, whose gradients pass saturated clamps in part. Its values are the same."""
    return replace(target, simulator=target.simulator.leaky(LEAK))


def chance(more: int, fewer: int) -> float:
    """The one-sided p of a sign test: that of `more` or more heads in more + fewer throws of a fair coin.

    For two attacks on the same samples (McNemar's exact test): `more` are broken by the first alone,
    `fewer` by the second alone. 1 where they break the same ones.
    """
    throws = more + fewer
    return sum(math.comb(throws, heads) for heads in range(more, throws + 1)) / 2**throws


def stronger(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether what `first` breaks, bool (n,), exceeds what `second` breaks beyond chance."""
    return chance(int((first & ~second).sum()), int((second & ~first).sum())) < SIGNIFICANT


def fewer_by_luck(left: int, less: int, count: int) -> float:
    """The one-sided p of Fisher's exact test that two figures are of one kind: `left` of `count` samples and
    `less` of as many others. It asks whether the difference exceeds what another choice of samples makes."""
    both = left + less
    ways = [math.comb(count, n) * math.comb(count, both - n) for n in range(min(both, count) + 1)]
    return sum(ways[: less + 1]) / math.comb(2 * count, both)


def _budget(run: AttackRun, norm: str) -> float:
    if run.conditions.eps is not None and norm == run.conditions.norm:
        return run.conditions.eps
    reached = run.distances.of(norm)[run.success]
    return float(np.median(reached)) if len(reached) else _USUAL_EPS[norm]


def _whole(target: Target, norm: str, eps: float) -> float:
    """At least one code; in Linf the whole codes in `eps`, so that rounding a transfer adds nothing."""
    space = target.space
    if space.grid_step is None:
        return eps
    least = float(space.grid_step.min())
    if norm == "l2":
        return max(eps, least)
    return max(float((space.grid_steps(eps) * space.grid_step).max()), least)


def _climber(run: AttackRun, norm: str, eps: float) -> Attack:
    own: Any = attack_of(run)
    if getattr(own, "climbs", False) and run.conditions.setting == "white-box":
        climber: Attack = dataclasses.replace(own, eps=eps)
        return climber
    return PGD(eps=eps, norm=norm)
