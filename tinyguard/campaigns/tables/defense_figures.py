# SPDX-License-Identifier: Apache-2.0
"""What attacks leave of a defense: a figure each, the strongest of several, and whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinyguard.robustness.attack_run import AttackRun
from tinyguard.robustness.trust.trials import SIGNIFICANT, chance
from tinyguard.robustness.under_seeds import mean_and_deviation


@dataclass(frozen=True, eq=False)
class Figure:
    """`right` and `left` bool (seeds, N): before and after the attack, one row for a network without masks.

    `promising` int64 (N,): how well the attacker's inputs did where he could try them. `rules` is what each
    of the merged attacks leaves alone, a mean by its name, and `rule` the strongest of them.
    """

    right: np.ndarray
    left: np.ndarray
    promising: np.ndarray
    rule: str
    rules: dict[str, float]

    @property
    def mean(self) -> float:
        """Accuracy under attack, the mean over the seeds."""
        return float(self.left.mean()) if self.left.size else 0.0

    @property
    def broken(self) -> np.ndarray:
        """bool (N,): samples that are wrong under more than half of the seeds."""
        broken: np.ndarray = 2 * self.left.sum(axis=0) < len(self.left)
        return broken

    def as_dict(self) -> dict[str, Any]:
        """For the JSON table."""
        return {**mean_and_deviation(self.left), "rule": self.rule, "rules": self.rules}


def figure_of(run: AttackRun, rule: str) -> Figure:
    """The figure of one run, which `rule` names among others."""
    seeds = run.under_seeds
    if seeds is not None:
        right, left, promising = seeds.right, seeds.left, seeds.promising
    else:
        right, left = run.correct[None], (run.correct & ~run.success)[None]
        promising = run.success.astype(np.int64)
    alone = Figure(right, left, promising, rule, {})
    return replace(alone, rules={rule: alone.mean})


def strongest(figures: Sequence[Figure]) -> Figure:
    """Of several attacks on the same samples each sample's best.

    Without masks a sample is broken if any attack broke it. With masks the attacker sends what fooled the
    most of his own seeds, the first of equals, and is judged by the others.
    """
    first = figures[0]
    if len(figures) == 1:
        return first
    rules = {rule: left for figure in figures for rule, left in figure.rules.items()}
    rule = min(rules, key=lambda name: rules[name])
    promising = np.stack([figure.promising for figure in figures])
    if len(first.left) == 1:
        left = np.all([figure.left for figure in figures], axis=0)
    else:
        best = promising.argmax(axis=0)
        left = np.stack([figure.left for figure in figures])[best, :, np.arange(len(best))].T
    return Figure(first.right, left, promising.max(axis=0), rule, rules)


def weaker_than_transfer(adaptive: Figure, transfer: Figure) -> str:
    """Why an adaptive attack that leaves more than a transfer cannot be believed, "" where it leaves no more.

    p: the one-sided sign test over the samples that one of the two alone breaks (McNemar's exact test); where
    chance makes such a difference, the attack is no better than the transfer rather than broken.
    """
    if adaptive.mean <= transfer.mean:
        return ""
    ours, theirs = adaptive.broken, transfer.broken
    p = chance(int((theirs & ~ours).sum()), int((ours & ~theirs).sum()))
    what = "the attack is broken" if p < SIGNIFICANT else "the attack gains nothing"
    more = 100 * (adaptive.mean - transfer.mean)
    return f"{what}: adaptive leaves {more:.1f} points more than transfer, p {p:.2g}"
