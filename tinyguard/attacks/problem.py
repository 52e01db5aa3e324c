# SPDX-License-Identifier: Apache-2.0
"""What every attack is given and what it returns, and the record of each sample's best point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

import torch

from tinyguard.attacks.draws import Draws
from tinyguard.attacks.space import Space
from tinyguard.attacks.victim import Victim
from tinyguard.graph.answer import UNDECIDED


@dataclass(frozen=True, eq=False)
class Problem:
    """Samples to attack: `x` [0, 1] pixels (N, *shape) on the grid, labels `y` int64 (N,), `targets` int64
    (N,) or None for an untargeted attack, `ids` int64 (N,) that name the samples for the draws.

    `stop_early`: a sample that is fooled leaves (direct attacks); without it a fixed-budget attack
    goes on to the largest loss, as a transfer needs. `on_progress` gets the number of finished samples.
    `others` are networks beside the victim, for attacks that compare (DIVA: the float source). `nearest`:
    what this attack left in `Outcome.nearest` for these samples under a smaller budget.
    """

    victim: Victim
    x: torch.Tensor
    y: torch.Tensor
    targets: torch.Tensor | None
    ids: torch.Tensor
    seed: int
    stop_early: bool = True
    on_progress: Callable[[int], None] = field(default=lambda done: None)
    others: tuple[Victim, ...] = ()
    nearest: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def space(self) -> Space:
        return self.victim.space

    @property
    def draws(self) -> Draws:
        return Draws(self.seed, self.ids)

    def select(self, rows: torch.Tensor) -> Problem:
        """Some of the samples: int64 positions or a bool mask."""
        targets = None if self.targets is None else self.targets[rows]
        nearest = None if self.nearest is None else self.nearest[rows]
        part = replace(self, x=self.x[rows], y=self.y[rows], ids=self.ids[rows])
        return replace(part, targets=targets, nearest=nearest)

    def fooled(self, decided: torch.Tensor, rows: torch.Tensor | slice = slice(None)) -> torch.Tensor:
        """bool: whether what is decided, int64, for the samples in `rows` is what the attacker wants."""
        if self.targets is not None:
            return decided == self.targets[rows]
        return (decided != self.y[rows]) & (decided != UNDECIDED)


@dataclass(frozen=True, eq=False)
class Outcome:
    """Per sample: `x` [0, 1] pixels (N, *shape) on the grid, `success` bool, `queries` int64 network runs.

    Where an attack failed, a fixed-budget attack leaves its point of largest loss, a minimum-norm attack
    the clean input. `nearest`, pixels (N, *shape), of an attack that searches alike under every budget: for
    a sample that withstood it the nearest success at any distance, the clean input where it found none.
    """

    x: torch.Tensor
    success: torch.Tensor
    queries: torch.Tensor
    nearest: torch.Tensor | None = None

    def select(self, rows: torch.Tensor) -> Outcome:
        """Some of the samples: int64 positions or a bool mask."""
        nearest = None if self.nearest is None else self.nearest[rows]
        return Outcome(self.x[rows], self.success[rows], self.queries[rows], nearest)


class Attack(Protocol):
    """A frozen dataclass of an attack's parameters. `tinyguard.attacks.registry` finds those with a `name`.

    `name`: what is typed for it, `summary`: its line in the help. `access`: "gradient", "score" or
    "decision". `budgeted`: it takes `eps`; the others look for the nearest success. `norms`: the norms it
    can be asked for. All are constants in the class, for the help reads them without importing anything.

    A class may say two things more. `climbs = True`: it climbs a loss, and the checks for gradient masking
    may vary its `steps`, `restarts` and `eps`. `hides_from_source = True`: only what the float source does
    not notice is a success.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    access: ClassVar[str]
    budgeted: ClassVar[bool]
    norms: ClassVar[tuple[str, ...]]

    def run(self, problem: Problem) -> Outcome: ...


class Best:
    """The best point so far of every sample, and which samples still run.

    `offer` takes points of some of the samples: the first that fools is kept, otherwise that of the
    largest value (fixed budgets: the loss; minimum-norm attacks call `offer_nearest`).
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.x = problem.x.clone()
        self.value = torch.full((len(problem),), -torch.inf)
        self.distance = torch.full((len(problem),), torch.inf)
        self.success = torch.zeros(len(problem), dtype=torch.bool)
        self.queries = torch.zeros(len(problem), dtype=torch.int64)

    @property
    def rows(self) -> torch.Tensor:
        """int64 positions of the samples that still run."""
        everyone = torch.arange(len(self.success))
        return everyone[~self.success] if self.problem.stop_early else everyone

    def count(self, rows: torch.Tensor, queries: int = 1) -> None:
        """Note network runs, forward or forward and backward."""
        self.queries[rows] += queries

    def offer(self, rows: torch.Tensor, x: torch.Tensor, value: torch.Tensor, fooled: torch.Tensor) -> None:
        """Points `x` (n, *shape) of samples `rows` (n,), the loss `value` (n,) there, `fooled` bool (n,).

        With `stop_early` a success beats every failure; without it the loss alone decides.
        """
        higher = value > self.value[rows]
        if self.problem.stop_early:
            better = (fooled & ~self.success[rows]) | (higher & (fooled | ~self.success[rows]))
        else:
            better = higher
        chosen = rows[better]
        self.x[chosen], self.value[chosen], self.success[chosen] = x[better], value[better], fooled[better]
        self.problem.on_progress(int(self.success.sum()))

    def offer_nearest(
        self, rows: torch.Tensor, x: torch.Tensor, distance: torch.Tensor, fooled: torch.Tensor
    ) -> torch.Tensor:
        """Keep what fools at a smaller `distance` (n,) than before; bool (n,), what was kept."""
        better = fooled & (distance < self.distance[rows])
        chosen = rows[better]
        self.x[chosen], self.distance[chosen], self.success[chosen] = x[better], distance[better], True
        return better

    def outcome(self) -> Outcome:
        return Outcome(self.x, self.success, self.queries)
