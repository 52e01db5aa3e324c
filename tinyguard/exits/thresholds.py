# SPDX-License-Identifier: Apache-2.0
"""Thresholds from data: the cheapest policy of a given accuracy, or the most accurate one of a given cost.

Which exit answers a sample depends on all thresholds before it, so gates cannot be set one by one. The
thresholds tried at a gate are the values that its measure takes on the samples, the strictest of those that
do the same, and the one that no sample reaches. A table over all pairs of thresholds of two gates, the
others held, has for each pair how many answers are right and what they cost in all: a histogram of the
samples over both measures, summed up along both axes. The best entry is taken, for one pair of gates after
the other, until none changes anything.

With one or two gates that is a search through all policies, exact on these samples: 257 x 257 of them for
confidence and margin. Entropies have up to 3,400 values; above 512 they are thinned to 512 quantiles. With
more gates (128 quantiles each) it is the best that no change of two thresholds betters, of several
beginnings: no gate lets a sample go, and each gate alone lets all go. Nothing is drawn by chance. Of two
policies alike in accuracy and cost the one with the stricter first gates is taken. Patience has one number
for all gates, and all are tried.

Accuracy and cost are those on the samples themselves, so they are better than on others: keep these apart
from the samples that a policy is judged by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tinyguard.errors import TinyguardError, unknown
from tinyguard.exits.measured import Measured
from tinyguard.exits.stage_costs import Costs
from tinyguard.graph.exit_policy import KINDS, Policy, never_leaves, threshold_range

FOUND = ("confidence", "margin", "entropy", "patience")
"""The kinds of policies that have thresholds."""
_MOST_LEVELS = 512
_MOST_LEVELS_OF_MANY = 128  # with three gates or more
_CURVE_STEPS = 40

Totals = tuple[np.ndarray, np.ndarray]  # right answers and summed costs, int64
Order = Callable[[Totals], Sequence[np.ndarray]]  # what is least in the best policy, first things first


@dataclass(frozen=True, eq=False)
class Trial:
    """N samples to choose thresholds by: what L exits say, `right` bool (N, L), whether what is answered at
    each is, and what that costs."""

    measured: Measured
    right: np.ndarray
    costs: Costs

    @property
    def samples(self) -> int:
        return len(self.right)

    @property
    def gates(self) -> int:
        """Exits that may or may not answer: all but the last."""
        return self.measured.exits - 1

    @property
    def classes(self) -> int:
        return int(self.measured.scores.shape[2])


@dataclass(frozen=True)
class Found:
    """A policy, and what it does on the samples of a trial: `accuracy` in [0, 1]; `mean_cost` of an answer in
    the trial's unit, and as a fraction of the last exit's."""

    policy: Policy
    accuracy: float
    mean_cost: float
    share_of_last: float


def trial(measured: Measured, labels: np.ndarray, costs: Costs, answer: str = "taken") -> Trial:
    """`labels` int64 (N,); `answer` as the record has it."""
    return Trial(measured, measured.said(answer) == labels[:, None], costs)


def check_kind(kind: str) -> None:
    """Raise TinyguardError for a kind of policy that is not one of FOUND."""
    if kind not in KINDS:
        raise unknown("exit policy", kind, KINDS)
    if kind not in FOUND:
        raise TinyguardError(f"the policy {kind} has no thresholds to find: type --policy {FOUND[0]}")


def under(trial: Trial, policy: Policy) -> Found:
    """What a policy does on the samples."""
    right, cost = _totals(trial, policy)
    return _found(trial, policy, right, cost)


def cheapest_within(trial: Trial, kind: str, points: float) -> Found:
    """The cheapest policy of this kind, one of FOUND, whose accuracy is at most so many points, in percent of
    all samples, below the last exit's; of several the most accurate."""
    check_kind(kind)
    allowed = int(points / 100 * trial.samples + 1e-9)
    needed = int(trial.right[:, -1].sum()) - allowed
    return _best(trial, kind, lambda totals: (np.maximum(needed - totals[0], 0), totals[1], -totals[0]))


def most_accurate_for(trial: Trial, kind: str, share: float) -> Found:
    """The most accurate policy of this kind, one of FOUND, whose mean cost is at most this fraction of the
    last exit's; of several the cheapest. Raises TinyguardError where none is as cheap."""
    check_kind(kind)
    found = _best(trial, kind, _within_budget(trial, share))
    if found.share_of_last > share + 1e-9:
        raise TinyguardError(
            f"no {kind} policy costs {100 * share:g} % of the last exit or less: the cheapest takes "
            f"{100 * found.share_of_last:.1f} %; type a larger --budget"
        )
    return found


def accuracy_against_cost(trial: Trial, kind: str) -> list[Found]:
    """Policies of one kind, cheapest first, each the most accurate for its cost: the best within each of 41
    budgets, from the first exit's cost to that of the most accurate policy of all, those alike once."""
    check_kind(kind)
    dearest = _best(trial, kind, _within_budget(trial, 1)).share_of_last
    found: list[Found] = []
    for share in np.linspace(trial.costs.shares[0], dearest, _CURVE_STEPS + 1):
        best = _best(trial, kind, _within_budget(trial, float(share)))
        if best.share_of_last <= share + 1e-9 and best not in found:
            found.append(best)
    return found


def _within_budget(trial: Trial, share: float) -> Order:
    limit = int(share * trial.costs.up_to[-1] * trial.samples * (1 + 1e-12))
    return lambda totals: (np.maximum(totals[1] - limit, 0), -totals[0], totals[1])


def _best(trial: Trial, kind: str, order: Order) -> Found:
    if kind == "patience":
        return _best_patience(trial, order)
    gates = _Gates(trial, kind)
    return gates.found(_search(gates, order, gates.starts))


def _best_patience(trial: Trial, order: Order) -> Found:
    counts = range(1, trial.measured.exits + 1)
    totals = [_totals(trial, Policy("patience", (count,))) for count in counts]
    place = _least(order((np.array([right for right, _ in totals]), np.array([cost for _, cost in totals]))))
    return _found(trial, Policy("patience", (counts[place],)), *totals[place])


def _search(gates: _Gates, order: Order, starts: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """The places of the best thresholds that any of the starts leads to."""
    ends = list(dict.fromkeys(_descend(gates, order, start) for start in starts))
    totals = np.array([_totals(gates.trial, gates.policy(places)) for places in ends])
    return ends[_least(order((totals[:, 0], totals[:, 1])))]


def _descend(gates: _Gates, order: Order, places: tuple[int, ...]) -> tuple[int, ...]:
    pairs: list[tuple[int, int | None]] = [*combinations(range(len(places)), 2)]
    pairs = pairs or [(0, None)]
    while True:
        before = places
        for first, second in pairs:
            totals = gates.totals_of_pair(places, first, second)
            best = np.unravel_index(_least(order(totals)), totals[0].shape)
            changed = list(places)
            changed[first] = int(best[0])
            if second is not None:
                changed[second] = int(best[1])
            places = tuple(changed)
        if places == before:
            return places


def _least(keys: Sequence[np.ndarray]) -> int:
    """The flat place of the entry that is least by the first key, among these by the second, and so on; the
    last of those that are alike."""
    left = np.ones(keys[0].shape, bool)
    for key in keys:
        left &= key == key[left].min()
    return int(np.flatnonzero(left)[-1])


class _Gates:
    """The gates of a kind of policy on the samples of a trial.

    A threshold is its place among the levels of its gate, ascending in sureness, or their number: never.
    """

    def __init__(self, trial: Trial, kind: str) -> None:
        self.trial, self.kind = trial, kind
        sureness = trial.measured.of(kind)[:, :-1]
        self.levels = [self._levels(column) for column in sureness.T]
        columns = zip(self.levels, sureness.T, strict=True)
        self._costs = np.broadcast_to(np.array(trial.costs.up_to, np.int64), trial.right.shape)
        self.reached = np.stack([np.searchsorted(levels, x, "right") for levels, x in columns], 1)

    def _levels(self, sureness: np.ndarray) -> np.ndarray:
        low, high = threshold_range(self.kind, self.trial.measured.exits, self.trial.classes)
        least, most = (-high, -low) if self.kind == "entropy" else (low, high)
        allowed = sureness[(sureness >= least) & (sureness <= most)]
        levels = np.unique(allowed)
        limit = _MOST_LEVELS if self.trial.gates <= 2 else _MOST_LEVELS_OF_MANY
        if len(levels) <= limit:
            return levels
        return np.unique(np.quantile(allowed, np.linspace(0, 1, limit), method="lower"))

    @property
    def starts(self) -> list[tuple[int, ...]]:
        """That no gate lets a sample go, and with three gates or more that one lets all go."""
        never = tuple(len(levels) for levels in self.levels)
        if len(never) <= 2:
            return [never]
        return [never, *((*never[:gate], 0, *never[gate + 1 :]) for gate in range(len(never)))]

    def policy(self, places: Sequence[int]) -> Policy:
        sign = -1 if self.kind == "entropy" else 1
        never = never_leaves(self.kind, self.trial.measured.exits)
        return Policy(
            self.kind,
            tuple(
                sign * int(levels[place]) if place < len(levels) else never
                for levels, place in zip(self.levels, places, strict=True)
            ),
        )

    def found(self, places: Sequence[int]) -> Found:
        return under(self.trial, self.policy(places))

    def totals_of_pair(self, places: Sequence[int], first: int, second: int | None) -> Totals:
        """For all thresholds of two gates, in the order of the exits, while the others have theirs: arrays
        (thresholds of the first, thresholds of the second). Without a second gate that has one entry."""
        leaves = np.ones((self.trial.samples, self.trial.measured.exits), bool)
        leaves[:, :-1] = self.reached > np.array(places)
        leaves[:, [gate for gate in (first, second) if gate is not None]] = False
        other = leaves.argmax(1)
        here = np.flatnonzero(other > first)
        reached, then = self.reached[here, first], other[here]
        # A gate after the one where the other thresholds let the sample go is never asked.
        later = np.zeros_like(reached) if second is None else self.reached[here, second] * (then > second)
        rows, columns = len(self.levels[first]) + 1, 1 if second is None else len(self.levels[second]) + 1

        def total(value: np.ndarray) -> np.ndarray:
            at_first, at_other = value[here, first], value[here, then]
            at_second = at_other if second is None else value[here, second]
            stay = np.bincount(reached, at_other, rows).cumsum()
            go = np.bincount(reached, at_first, rows)
            go = go.sum() - go.cumsum()
            change = np.bincount(reached * columns + later, at_second - at_other, rows * columns)
            change = change.reshape(rows, columns).cumsum(0)
            change = change.sum(1, keepdims=True) - change.cumsum(1)
            return (stay + go)[:, None] + change

        before = np.flatnonzero(other < first)
        right, costs = (
            np.rint(total(value) + value[before, other[before]].sum()).astype(np.int64)
            for value in (self.trial.right.astype(np.int64), self._costs)
        )
        return right, costs


def _totals(trial: Trial, policy: Policy) -> tuple[int, int]:
    """Right answers and the summed cost."""
    taken = trial.measured.taken(policy)
    right = trial.right[np.arange(len(taken)), taken].sum()
    return int(right), int(np.array(trial.costs.up_to, np.int64)[taken].sum())


def _found(trial: Trial, policy: Policy, right: int, cost: int) -> Found:
    mean = cost / trial.samples
    return Found(policy, right / trial.samples, mean, mean / trial.costs.up_to[-1])
