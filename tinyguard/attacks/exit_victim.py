# SPDX-License-Identifier: Apache-2.0
"""A network with several exits under attack: what its gradient aims at, and who is fooled.

The exit that is taken is a choice and passes no gradient. An aim makes one loss of the logits of all exits;
the answer under the policy in force, ties included, says who is fooled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch.nn import functional

from tinyguard.arithmetic.entropy import LEVELS
from tinyguard.attacks.losses import Climbed, largest_other
from tinyguard.attacks.victim import Answer, IntegerVictim, Objective, Slope, slope_in_batches
from tinyguard.graph.answer import ENTROPY_UNITS, decide
from tinyguard.graph.exit_policy import Policy
from tinyguard.graph.multi_exit import PROBABILITY, TAKEN, decision_of, logits_tensors
from tinyguard.simulator.logits import mean_network
from tinyguard.simulator.parallel import even_parts

_WIDTH = {"confidence": 16.0, "margin": 4.0, "entropy": 128.0}  # of the soft policies, in each one's own unit
_NEARLY_OPEN = 0.5  # widths of a soft policy below the threshold
_NEARLY = 1e-6  # the probabilities that count as 0 and 1
_LATER = 1e3  # what an exit further on is worth, beside losses that are far smaller


class Aim(Protocol):
    """`exits` are real logits (n, exits, classes)."""

    def logits(self, exits: torch.Tensor) -> torch.Tensor:
        """What attacks that read logits see, (n, classes)."""
        ...

    def losses(self, exits: torch.Tensor, objective: Objective, rows: slice) -> torch.Tensor:
        """What is climbed, (n,): `objective` of the logits of samples `rows`."""
        ...


@dataclass(frozen=True)
class Single:
    """One exit, from 0."""

    place: int

    def logits(self, exits: torch.Tensor) -> torch.Tensor:
        return exits[:, self.place]

    def losses(self, exits: torch.Tensor, objective: Objective, rows: slice) -> torch.Tensor:
        return objective(self.logits(exits), rows)


@dataclass(frozen=True)
class Average:
    """The mean of the losses of all exits (Hu et al. 2020, arXiv 2002.10025)."""

    def logits(self, exits: torch.Tensor) -> torch.Tensor:
        return mean_network(exits.unbind(1))

    def losses(self, exits: torch.Tensor, objective: Objective, rows: slice) -> torch.Tensor:
        return torch.stack([objective(logits, rows) for logits in exits.unbind(1)], 1).mean(1)


@dataclass(frozen=True)
class SoftPolicy:
    """The mixture of the exits by the probabilities of leaving there: a logistic function of how far the
    policy's measure lies beyond its threshold. `steps`: the real size of a code of each exit's logits."""

    policy: Policy
    steps: tuple[float, ...]

    def logits(self, exits: torch.Tensor) -> torch.Tensor:
        leaving = soft_leaving(exits, self.policy, self.steps)
        leave, stay = functional.logsigmoid(leaving), functional.logsigmoid(-leaving)
        certain = torch.zeros(len(exits), 1)  # of having come as far as exit 1, and of leaving at the last
        reached = torch.cat([certain, stay.cumsum(1)], 1) + torch.cat([leave, certain], 1)
        return (exits.log_softmax(2) + reached[:, :, None]).logsumexp(1)

    def losses(self, exits: torch.Tensor, objective: Objective, rows: slice) -> torch.Tensor:
        return objective(self.logits(exits), rows)


def soft_leaving(exits: torch.Tensor, policy: Policy, steps: tuple[float, ...]) -> torch.Tensor:
    """How far each exit but the last is beyond its threshold, (n, exits - 1), in widths of a soft policy."""
    before = exits[:, :-1]
    if policy.kind == "never":
        return torch.full(before.shape[:2], -torch.inf)
    if policy.kind == "patience":
        return _agreement(exits, policy.thresholds[0])
    thresholds = torch.tensor(policy.thresholds, dtype=torch.float32)
    surplus = measure_of(before, policy.kind, steps) - thresholds
    return (-surplus if policy.kind == "entropy" else surplus) / _WIDTH[policy.kind]


def measure_of(exits: torch.Tensor, kind: str, steps: tuple[float, ...]) -> torch.Tensor:
    """The measure of a policy in its own unit, real and with a gradient, (n, exits)."""
    if kind == "margin":
        top = exits.topk(2, 2).values
        return (top[..., 0] - top[..., 1]) / torch.tensor(steps[: exits.shape[1]])
    logs = exits.log_softmax(2)
    if kind == "confidence":
        return LEVELS * logs.exp().amax(2)
    return -ENTROPY_UNITS / math.log(2) * (logs.exp() * logs).sum(2)


def _agreement(exits: torch.Tensor, count: int) -> torch.Tensor:
    """The log-odds that the last `count` exits name one class, each drawing from its own softmax."""
    p = exits.softmax(2)
    same = (p[:, 1:] * p[:, :-1]).sum(2)  # of exits 2, 3, ... and the one before
    odds = []
    for place in range(exits.shape[1] - 1):
        together = same[:, max(0, place + 1 - count) : place].prod(1)
        odds.append(torch.logit(together * (place + 1 >= count), _NEARLY))
    return torch.stack(odds, 1)


@dataclass(frozen=True)
class Unsure:
    """Later exits, DeepSloth's way (Hong et al. 2021, arXiv 2010.02432): lower the cross-entropy between the
    uniform distribution and the softmax of every exit before the last. `keep_answer` also lowers what the
    attack climbs at the last exit, so that this one stays right."""

    keep_answer: bool = False

    def logits(self, exits: torch.Tensor) -> torch.Tensor:
        return exits[:, -1]

    def losses(self, exits: torch.Tensor, objective: Objective, rows: slice) -> torch.Tensor:
        return self.uncertainty(exits) - (objective(exits[:, -1], rows) if self.keep_answer else 0)

    def uncertainty(self, exits: torch.Tensor) -> torch.Tensor:
        """The negative cross-entropy, summed over exits before the last, (n,)."""
        return exits[:, :-1].log_softmax(2).mean(2).sum(1)


@dataclass(frozen=True)
class Below:
    """Later exits by the policy's own measure: lower the sum, over exits before the last, of a logistic
    function of measure minus threshold; of patience, how far neighbours agree."""

    soft: SoftPolicy
    keep_answer: bool = False

    def logits(self, exits: torch.Tensor) -> torch.Tensor:
        return exits[:, -1]

    def losses(self, exits: torch.Tensor, objective: Objective, rows: slice) -> torch.Tensor:
        kept = objective(exits[:, -1], rows) if self.keep_answer else 0
        if self.soft.policy.kind == "patience":
            p = exits.softmax(2)
            return -(p[:, 1:] * p[:, :-1]).sum(2).sum(1) - kept
        return -soft_leaving(exits, self.soft.policy, self.soft.steps).sigmoid().sum(1) - kept


@dataclass(frozen=True)
class Undecided:
    """Later exits by their logits: lower the lead of the largest over the second at every exit that would
    still answer, or nearly. Ours: a saturated softmax has no gradient, and exits that are passed already need
    no more."""

    soft: SoftPolicy
    keep_answer: bool = False

    def logits(self, exits: torch.Tensor) -> torch.Tensor:
        return exits[:, -1]

    def losses(self, exits: torch.Tensor, objective: Objective, rows: slice) -> torch.Tensor:
        top = exits[:, :-1].topk(2, 2).values
        would = soft_leaving(exits.detach(), self.soft.policy, self.soft.steps) >= -_NEARLY_OPEN
        kept = objective(exits[:, -1], rows) if self.keep_answer else 0
        return -((top[..., 0] - top[..., 1]) * would).sum(1) - kept


@dataclass(frozen=True)
class WrongAt:
    """A wrong answer at one exit, from 0: the strongest wrong logit above all others, and once it is, the
    policy's measure up to its threshold."""

    place: int
    soft: SoftPolicy

    def logits(self, exits: torch.Tensor) -> torch.Tensor:
        return exits[:, self.place]

    def losses(self, exits: torch.Tensor, objective: Objective, rows: slice) -> torch.Tensor:
        assert isinstance(objective, Climbed)
        logits = self.logits(exits)
        own = functional.one_hot(objective.y[rows], logits.shape[1]).bool()
        wrong = logits.masked_fill(own, -torch.inf).argmax(1)
        lead = logits.gather(1, wrong[:, None])[:, 0] - largest_other(logits, wrong)
        if self.place + 1 == exits.shape[1] or self.soft.policy.kind == "never":
            return lead
        short = soft_leaving(exits, self.soft.policy, self.soft.steps)[:, self.place].clamp(max=0)
        return lead + torch.where(lead > 0, short.clamp(min=-_LATER), torch.zeros_like(short))


class ExitVictim(IntegerVictim):
    """`victim`, a network with exits, whose gradient follows `aim`; fooled is whom the answer says."""

    def __init__(self, victim: IntegerVictim, aim: Aim) -> None:
        super().__init__(victim.simulator, victim.space, victim.backend, victim.show, victim.batch_size)
        self.aim = aim
        self.every = victim.simulator.at_every_exit()

    def slope(self, x: torch.Tensor, objective: Objective, backward: bool = True) -> Slope:
        found = slope_in_batches(
            x,
            lambda exits, rows: self.aim.losses(exits, objective, rows),
            self._at,
            self.batch_size,
            backward,
        )
        return Slope(found.gradient, found.loss, self.aim.logits(found.logits), found.decided)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return self.aim.logits(self.every.logits(self.space.straight_through_codes(x)))

    def exits(self, x: torch.Tensor) -> torch.Tensor:
        """Real logits of every exit at points (n, *shape), (n, exits, classes), without a gradient."""
        with torch.no_grad():
            parts = [
                self.every.logits(self.space.straight_through_codes(x[start:end]))
                for start, end in even_parts(len(x), self.batch_size)
            ]
        return torch.cat(parts)

    def _at(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, exits = self.every.taps(self.space.straight_through_codes(x))
        return exits, self.judged(outputs)

    def judged(self, outputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """int64 (n,): what outputs come to, as the problem's `fooled` takes it."""
        return decide(self.graph, outputs).decided


class TimedVictim(ExitVictim):
    """The same, where the exit that is taken matters: what is judged is `exit * classes + label`, exits from
    1. With `later`, a later exit beats every loss."""

    def __init__(self, victim: IntegerVictim, aim: Aim, later: bool = False) -> None:
        super().__init__(victim, aim)
        self.later = later

    def slope(self, x: torch.Tensor, objective: Objective, backward: bool = True) -> Slope:
        found = super().slope(x, objective, backward)
        if not self.later:
            return found
        return replace(found, loss=found.loss + _LATER * (found.decided // self.classes))

    def query(self, x: torch.Tensor) -> Answer:
        """What shows how long it took, as the score of class 1 against class 0: the exit, and with "decision"
        shown how little was missing to leave before."""
        outputs = self.answered(x)
        decision = decision_of(self.graph, outputs)
        value = decision[:, TAKEN].to(torch.float32)
        if self.show == "decision":
            value = value - decision[:, PROBABILITY] / (2 * LEVELS)
        return Answer(torch.stack([torch.zeros_like(value), value], 1), self.judged(outputs))

    def judged(self, outputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        taken = decision_of(self.graph, outputs)[:, TAKEN].long()
        return taken * self.classes + decide(self.graph, outputs).label


def steps_of(victim: IntegerVictim) -> tuple[float, ...]:
    """The real size of a code of each exit's logits."""
    return tuple(tensor.scale for tensor in logits_tensors(victim.graph))
