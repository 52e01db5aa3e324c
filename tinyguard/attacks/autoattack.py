# SPDX-License-Identifier: Apache-2.0
"""AutoAttack: parameter-free attacks one after another, each on the samples that withstood those before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from tinyguard.attacks.apgd import APGDCE, APGDDLR, APGDTargeted
from tinyguard.attacks.fab import FABTargeted
from tinyguard.attacks.problem import Attack, Outcome, Problem
from tinyguard.attacks.square import Square
from tinyguard.errors import TinyguardError

_TARGETED_CLASSES = 4  # the targeted difference of logits ratio needs as many
_RANKED_CLASSES = 3
_EOT = 20
VERSIONS = ("standard", "rand")


@dataclass(frozen=True)
class AutoAttack:
    """Croce & Hein 2020 (arXiv 2003.01690), in Linf and L2.

    "standard": APGD-CE, APGD-T and FAB-T towards 9 classes, Square with `queries`; under four classes
    without APGD-T. "rand", for networks that draw random numbers: APGD-CE and APGD-DLR (left out under
    three classes) on gradients averaged over 20 passes. `steps` are those of every gradient stage.
    """

    eps: float = 8 / 255
    norm: str = "linf"
    version: str = "standard"
    steps: int = 100
    queries: int = 5000

    name: ClassVar[str] = "autoattack"
    summary: ClassVar[str] = "APGD-CE, APGD-T, FAB-T and Square, one after the other"
    access: ClassVar[str] = "gradient"
    budgeted: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def run(self, problem: Problem) -> Outcome:
        x, queries = problem.x.clone(), torch.zeros(len(problem), dtype=torch.int64)
        nearest: torch.Tensor | None = None
        left = torch.arange(len(problem))
        success = torch.zeros(len(problem), dtype=torch.bool)
        for number, stage in enumerate(self.stages(problem)):
            if not len(left):
                break
            done = len(problem) - len(left)
            found = stage.run(replace(problem.select(left), on_progress=_after(problem, done)))
            queries[left] += found.queries
            if found.nearest is not None:
                nearest = problem.x.clone()
                nearest[left] = found.nearest
            # Who withstands every stage keeps the first one's point of largest loss.
            kept = found.success if number else torch.ones_like(found.success)
            x[left[kept]] = found.x[kept]
            success[left] = found.success
            left = left[~found.success]
        return Outcome(x, success, queries, nearest)

    def stages(self, problem: Problem) -> list[Attack]:
        """The attacks in their order. Raises TinyguardError for an unknown version."""
        if self.version not in VERSIONS:
            raise TinyguardError(
                f"no AutoAttack version named {self.version!r}; known: {', '.join(VERSIONS)}"
            )
        classes, eps, norm = problem.victim.classes, self.eps, self.norm
        if self.version == "rand":
            enough = classes >= (_RANKED_CLASSES if problem.targets is None else _TARGETED_CLASSES)
            first = APGDCE(eps=eps, norm=norm, steps=self.steps, eot=_EOT)
            return [first, APGDDLR(eps=eps, norm=norm, steps=self.steps, eot=_EOT)] if enough else [first]
        stages: list[Attack] = [APGDCE(eps=eps, norm=norm, steps=self.steps)]
        if classes >= _TARGETED_CLASSES:
            stages.append(APGDTargeted(eps=eps, norm=norm, steps=self.steps))
        return [
            *stages,
            FABTargeted(eps=eps, norm=norm, steps=self.steps),
            Square(eps=eps, norm=norm, queries=self.queries),
        ]


def _after(problem: Problem, done: int) -> Callable[[int], None]:
    """Progress of a stage that began with `done` samples finished."""
    return lambda more: problem.on_progress(done + more)
