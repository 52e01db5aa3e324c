# SPDX-License-Identifier: Apache-2.0
"""Attacks on a network with several exits: what they are on, and any attack carried out for it.

    average       the mean of the losses of all exits, up to the largest
    max-average   every exit alone, of which the one with the largest summed cross-entropy is kept
    answer        what the network says: every exit alone, the average and a soft policy, whichever fools it
    slowdown      a later exit than for the clean input
    early-wrong   a wrong answer, no later than the clean one

An attack on one exit alone is one on the network under the policy that answers there (`only_exit`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch.nn import functional

from tinyguard.attacks.exit_victim import (
    Aim,
    Average,
    Below,
    ExitVictim,
    Single,
    SoftPolicy,
    TimedVictim,
    Undecided,
    Unsure,
    WrongAt,
    steps_of,
)
from tinyguard.attacks.losses import margin
from tinyguard.attacks.problem import Attack, Outcome, Problem
from tinyguard.attacks.victim import IntegerVictim
from tinyguard.errors import TinyguardError
from tinyguard.graph.exit_policy import policy_of
from tinyguard.graph.multi_exit import check_exits

GOALS = ("answer", "average", "max-average", "slowdown", "early-wrong")
SHOWS = ("exit", "decision")
"""What queries may see of a slowdown beside the label: the number of the exit, as a clock on the reply tells
it, or all of the decision."""


@dataclass(frozen=True)
class Goal:
    """`kind` is one of GOALS. `keep_answer`: a slowdown keeps the last exit right."""

    kind: str = "answer"
    keep_answer: bool = False

    def check(self, attack: Attack | type[Attack], show: str) -> None:
        """Raise TinyguardError for an attack, and for what its queries see, that do not fit the goal."""
        if self.keep_answer and self.kind != "slowdown":
            raise TinyguardError(f"--keep-answer goes with --on slowdown, not with {self.kind}")
        queries = attack.access != "gradient"
        if self.kind == "slowdown" and queries and (attack.access != "score" or show not in SHOWS):
            raise TinyguardError(
                f"{attack.name} sees no exit of a slowdown: type --attack square --scores exit, or an attack "
                "that takes gradients"
            )
        if show in SHOWS and not (self.kind == "slowdown" and queries):
            raise TinyguardError(
                f"--scores {show} goes with --on slowdown and an attack that queries: leave it out"
            )
        if queries and self.kind not in ("answer", "slowdown"):
            raise TinyguardError(f"{attack.name} takes no gradients, and --on {self.kind} needs them")
        if self.kind != "answer" and not attack.budgeted:
            raise TinyguardError(
                f"{attack.name} looks for the nearest success, and --on {self.kind} needs a budget: type "
                "--attack pgd"
            )


@dataclass(frozen=True, eq=False)
class Timed(Problem):
    """A problem in which the exit that was taken `before`, int64 (N,), from 1, decides who is fooled: a later
    one, or with `early` a wrong answer no later."""

    before: torch.Tensor | None = None
    early: bool = False

    def select(self, rows: torch.Tensor) -> Timed:
        assert self.before is not None
        chosen = super().select(rows)
        assert isinstance(chosen, Timed)
        return replace(chosen, before=self.before[rows])

    def fooled(self, decided: torch.Tensor, rows: torch.Tensor | slice = slice(None)) -> torch.Tensor:
        assert self.before is not None
        classes = self.victim.classes
        taken, label = decided // classes, decided % classes
        before = self.before[rows]
        return (taken <= before) & (label != self.y[rows]) if self.early else taken > before


def parse_goal(text: str, keep_answer: bool = False) -> Goal | int:
    """What is typed after --on: a goal, or the number of the exit of exit:N. Raises TinyguardError for other
    words."""
    name, sign, number = text.partition(":")
    if name == "exit" and sign and number.isdecimal():
        if keep_answer:
            raise TinyguardError(f"--keep-answer goes with --on slowdown, not with {text}")
        return int(number)
    if text not in GOALS:
        raise TinyguardError(f"no --on {text}: known are {', '.join(GOALS)} and exit:N")
    return Goal(text, keep_answer)


def run_on(attack: Attack, problem: Problem, goal: Goal) -> Outcome:
    """Carry `attack` out for a goal, on a problem whose victim is an `IntegerVictim` of a network with exits.

    The outcome's success is the goal's: of `average` and `max-average` that the answer is wrong. Queries add
    up over the parts, each of which has the whole budget.
    """
    assert isinstance(problem.victim, IntegerVictim)
    match goal.kind:
        case "answer":
            return attack.run(problem) if attack.access != "gradient" else _answer(attack, problem)
        case "average":
            return attack.run(
                replace(problem, victim=ExitVictim(problem.victim, Average()), stop_early=False)
            )
        case "max-average":
            return _max_average(attack, problem)
        case "slowdown":
            return _slowdown(attack, problem, goal.keep_answer)
        case _:
            return _early_wrong(attack, problem)


class _Kept:
    """The best outcome of each sample over several runs, by a value, and how many queries they took."""

    def __init__(self, problem: Problem) -> None:
        self.x = problem.x.clone()
        self.value = torch.full((len(problem),), -torch.inf, dtype=torch.float64)
        self.success = torch.zeros(len(problem), dtype=torch.bool)
        self.queries = torch.zeros(len(problem), dtype=torch.int64)

    def offer(self, rows: torch.Tensor, found: Outcome, value: torch.Tensor, success: torch.Tensor) -> None:
        """Of the samples `rows` keep what has a larger `value` (n,), a success before any failure."""
        self.queries[rows] += found.queries
        better = (success & ~self.success[rows]) | (
            (success == self.success[rows]) & (value > self.value[rows])
        )
        chosen = rows[better]
        self.x[chosen], self.success[chosen] = found.x[better], success[better]
        self.value[chosen] = value[better].double()

    def outcome(self) -> Outcome:
        return Outcome(self.x, self.success, self.queries)


def _answer(attack: Attack, problem: Problem) -> Outcome:
    """Every aim in turn, a sample that is fooled leaves; attacks that look for the nearest take all."""
    victim = problem.victim
    assert isinstance(victim, IntegerVictim)
    kept = _Kept(problem)
    everyone = torch.arange(len(problem))
    for aim in aims_of(victim):
        rows = everyone[~kept.success] if attack.budgeted and problem.stop_early else everyone
        if not len(rows):
            break
        part = replace(problem.select(rows), victim=ExitVictim(victim, aim), on_progress=_silent)
        found = attack.run(part)
        if attack.budgeted:
            value = _answer_margin(victim, part, found.x)
        else:
            value = -_distance(found.x, part.x, getattr(attack, "norm", attack.norms[0]))
        kept.offer(rows, found, value, found.success)
        problem.on_progress(int(kept.success.sum()))
    return kept.outcome()


def aims_of(victim: IntegerVictim) -> tuple[Aim, ...]:
    """What the attack on the answer tries: the policy itself, the average, and every exit alone."""
    exits, policy = check_exits(victim.graph), policy_of(victim.graph)
    assert policy is not None
    soft = () if policy.kind == "never" else (SoftPolicy(policy, steps_of(victim)),)
    return (*soft, Average(), *(Single(place) for place in reversed(range(exits))))


def _answer_margin(victim: IntegerVictim, problem: Problem, x: torch.Tensor) -> torch.Tensor:
    """How far the exit that is taken is from being wrong, (N,)."""
    slope = victim.slope(x, lambda logits, part: logits.sum(1), backward=False)
    return margin(slope.logits, problem.y, problem.targets, 0.0)


def _max_average(attack: Attack, problem: Problem) -> Outcome:
    victim = problem.victim
    assert isinstance(victim, IntegerVictim)
    kept, everyone = _Kept(problem), torch.arange(len(problem))
    for place in range(check_exits(victim.graph)):
        aimed = ExitVictim(victim, Single(place))
        found = attack.run(replace(problem, victim=aimed, stop_early=False, on_progress=_silent))
        kept.offer(everyone, found, _summed_loss(aimed, problem, found.x), torch.zeros_like(found.success))
    decided = victim.slope(kept.x, lambda logits, part: logits.sum(1), backward=False).decided
    return replace(kept.outcome(), success=problem.fooled(decided))


def _summed_loss(victim: ExitVictim, problem: Problem, x: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of the labels, of targets the negative one, summed over exits, (N,)."""
    wanted, sign = (problem.y, 1.0) if problem.targets is None else (problem.targets, -1.0)
    exits = victim.exits(x)
    labels = wanted[:, None].expand(-1, exits.shape[1])
    return sign * functional.cross_entropy(exits.mT, labels, reduction="none").sum(1)


def _slowdown(attack: Attack, problem: Problem, keep_answer: bool) -> Outcome:
    """Every way of being unsure; per sample the later exit, then the more uncertain."""
    victim = problem.victim
    assert isinstance(victim, IntegerVictim)
    policy = policy_of(victim.graph)
    assert policy is not None
    published = Unsure(keep_answer)
    if attack.access != "gradient":
        timed = _timed(problem, TimedVictim(victim, published, later=True), early=False)
        return attack.run(replace(timed, y=torch.zeros_like(problem.y), stop_early=False))
    soft = SoftPolicy(policy, steps_of(victim))
    aims: Sequence[Aim] = (published, Below(soft, keep_answer), Undecided(soft, keep_answer))
    kept, everyone = _Kept(problem), torch.arange(len(problem))
    for aim in aims:
        aimed = TimedVictim(victim, aim, later=True)
        timed = replace(_timed(problem, aimed, early=False), stop_early=False, on_progress=_silent)
        found = attack.run(timed)
        taken = aimed.judged(aimed.answered(found.x)) // victim.classes
        value = 1e3 * taken + published.uncertainty(aimed.exits(found.x))
        assert timed.before is not None
        kept.offer(everyone, found, value, taken > timed.before)
    return kept.outcome()


def _early_wrong(attack: Attack, problem: Problem) -> Outcome:
    """Each exit up to the clean one in turn, until one is wrong and no later than the clean answer."""
    victim = problem.victim
    assert isinstance(victim, IntegerVictim)
    policy = policy_of(victim.graph)
    assert policy is not None
    soft, kept = SoftPolicy(policy, steps_of(victim)), _Kept(problem)
    before = _timed(problem, TimedVictim(victim, Average()), early=True).before
    assert before is not None
    for place in range(check_exits(victim.graph)):
        rows = torch.nonzero(~kept.success & (before > place))[:, 0]
        if not len(rows):
            continue
        aimed = TimedVictim(victim, WrongAt(place, soft))
        timed = replace(_timed(problem.select(rows), aimed, early=True), on_progress=_silent)
        found = attack.run(timed)
        kept.offer(rows, found, found.success.double(), found.success)
        problem.on_progress(int(kept.success.sum()))
    return kept.outcome()


def _timed(problem: Problem, victim: TimedVictim, early: bool) -> Timed:
    """The problem as one of exits, with those that the clean inputs take."""
    before = victim.judged(victim.simulator.in_batches(victim.space.rounded_codes(problem.x)))
    same = {field.name: getattr(problem, field.name) for field in fields(Problem)}
    return Timed(**(same | {"victim": victim}), before=before // victim.classes, early=early)


def _distance(x: torch.Tensor, clean: torch.Tensor, norm: str) -> torch.Tensor:
    apart = (x - clean).flatten(1).abs()
    measures: dict[str, Callable[[], torch.Tensor]] = {
        "linf": lambda: apart.amax(1),
        "l2": lambda: apart.norm(dim=1),
        "l1": lambda: apart.sum(1),
        "l0": lambda: (apart > 0).double().sum(1),
    }
    return measures[norm]()


def _silent(done: int) -> None:
    """Parts do not say how far they are."""
