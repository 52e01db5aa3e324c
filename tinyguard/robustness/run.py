# SPDX-License-Identifier: Apache-2.0
"""Running one attack on one network, and the figures that come of it.

Every figure is taken from the stored inputs, scored again on the back end that is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from tinyguard.attacks.exit_goals import run_on
from tinyguard.attacks.problem import Attack, Outcome, Problem
from tinyguard.attacks.victim import Victim
from tinyguard.exits.measured import measure
from tinyguard.exits.stage_costs import costs_in_macs
from tinyguard.graph import Graph
from tinyguard.graph.answer import answer_name
from tinyguard.graph.exit_policy import policy_of
from tinyguard.graph.multi_exit import exit_tensors
from tinyguard.robustness.attack_job import Job, whole_numbers
from tinyguard.robustness.attack_run import AttackRun, Conditions
from tinyguard.robustness.attacked_network import FloatBackend, Target
from tinyguard.robustness.budget import eps_codes, inside
from tinyguard.robustness.distortion import Distances, distances
from tinyguard.robustness.exit_run import ExitRun
from tinyguard.robustness.exit_success import base_of, won
from tinyguard.robustness.scoring import Scores, score
from tinyguard.robustness.threat_model import hides_from_source, norm_of, parameters_of
from tinyguard.robustness.under_seeds import UnderSeeds, under_seeds
from tinyguard.version import VERSION

_GROUP_ELEMENTS = 4_000_000  # of the inputs that one call of an attack gets, so that memory stays bounded

Progress = Callable[[int, int], None]


def attack_samples(
    target: Target,
    attack: Attack,
    setting: str,
    codes: np.ndarray,
    labels: np.ndarray,
    *,
    ids: np.ndarray | None = None,
    targets: np.ndarray | None = None,
    eps: float | None = None,
    seed: int = 0,
    crafted: Outcome | None = None,
    nearest: np.ndarray | None = None,
    progress: Progress = lambda done, total: None,
) -> AttackRun:
    """Attack the samples that `target.backend` gets right; the others count as wrong, undistorted.

    `codes` (N, *shape) in the input's dtype, `labels` int64 (N,), `ids` int64 (N,) that name the samples
    for the draws (their positions where left out), `targets` int64 (N,) or None. White-box takes the
    gradients of the simulator (of the float source where that is the back end) and replays what it found
    on the back end; transfer crafts on the float source, with the real eps and off the grid, and rounds
    to nearest; black-box queries the back end. `eps`, a fraction of the pixel range: for minimum-norm
    attacks, a success counts only within it. `crafted`: what `craft` found for all these samples, for
    transfer alone. `nearest`: `AttackRun.nearest` of these samples from the same attack under a smaller
    budget. `progress` gets the number of finished samples and how many there are.

    Where the attacker does not know the masks of a stochastic target, all samples are attacked, up to the
    largest loss or the edge of `eps`, and the run has figures `under_seeds` besides.

    Of a network with exits, `target.goal` says what the attack is after and which samples it is about.

    Raises TinyguardError for a setting that does not fit the attack or the target, for a budget under
    one code, and for labels that do not fit.
    """
    job = Job(
        target=target,
        attack=attack,
        setting=setting,
        codes=codes,
        labels=whole_numbers("labels", labels),
        ids=np.arange(len(codes)) if ids is None else whole_numbers("ids", ids),
        targets=None if targets is None else whole_numbers("targets", targets),
        eps=getattr(attack, "eps", None) if attack.budgeted else eps,
        seed=seed,
        crafted=crafted,
        nearest=nearest,
    )
    job.check()
    return _measured(job, _search(job, progress))


def craft(
    target: Target,
    attack: Attack,
    clean: torch.Tensor,
    labels: np.ndarray,
    *,
    ids: np.ndarray,
    targets: np.ndarray | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """The search of a transfer alone: inputs found on the float source, before any rounding.

    `clean` [0, 1] pixels, float32 (N, *shape). One search serves every network of that source.
    """
    assert target.float_victim is not None
    named: Any = {"ids": ids, "targets": targets, "seed": seed, "progress": progress}
    return attack.run(_problem(target, target.float_victim, clean, labels, stop_early=False, **named))


def _problem(
    target: Target,
    victim: Victim,
    clean: torch.Tensor,
    labels: np.ndarray,
    *,
    ids: np.ndarray,
    targets: np.ndarray | None,
    seed: int,
    stop_early: bool,
    progress: Callable[[int], None],
    nearest: np.ndarray | None = None,
) -> Problem:
    return Problem(
        victim,
        victim.space.round(clean),
        torch.from_numpy(labels),
        None if targets is None else torch.from_numpy(targets),
        torch.from_numpy(ids),
        seed,
        stop_early=stop_early,
        on_progress=progress,
        others=() if target.float_victim is None else (target.float_victim,),
        nearest=None if nearest is None else _shares(target, nearest),
    )


def _shares(target: Target, inputs: np.ndarray) -> torch.Tensor:
    """[0, 1] pixels on the grid, of inputs as an AttackRun stores them."""
    space = target.space
    return space.round(torch.from_numpy(inputs) if inputs.dtype == np.float32 else space.shares(inputs))


@dataclass(frozen=True, eq=False)
class _Found:
    """What the search left for all samples: the inputs that the back end gets, what it claims, its cost."""

    clean: Scores
    inputs: np.ndarray
    claimed: np.ndarray
    queries: np.ndarray
    nearest: np.ndarray | None
    started: float


def _search(job: Job, progress: Progress) -> _Found:
    target, started = job.target, time.monotonic()
    clean = score(target.backend, job.codes, job.labels, graph=_meaning(target))
    # Which samples are right depends on masks that this attacker does not know.
    base = base_of(target.on, clean, job.labels, len(exit_tensors(target.graph)))
    attacked = np.flatnonzero(base | (target.masks is not None))
    given = job.codes if target.space.on_grid else target.space.shares(job.codes).numpy()
    inputs, claimed = given.copy(), np.zeros(len(given), bool)
    nearest: np.ndarray | None = None
    queries = np.zeros(len(inputs), np.int64)
    size = max(1, _GROUP_ELEMENTS // max(1, job.codes[:1].size))
    for start in range(0, len(attacked), size):
        rows = attacked[start : start + size]
        outcome = _run(job.at(rows), partial(_report, progress, start, len(attacked)))
        inputs[rows] = _stored(target, outcome.x)
        if outcome.nearest is not None and job.setting != "transfer":
            nearest = given.copy() if nearest is None else nearest
            nearest[rows] = _stored(target, outcome.nearest)
        claimed[rows], queries[rows] = outcome.success.numpy(), outcome.queries.numpy()
        progress(start + len(rows), len(attacked))
    return _Found(clean, inputs, claimed, queries, nearest, started)


def _stored(target: Target, x: torch.Tensor) -> np.ndarray:
    """Pixels as an AttackRun stores inputs: codes, or off the grid the pixels themselves."""
    found = target.space.round(x)
    return target.space.code_array(found) if target.space.on_grid else found.numpy()


def _report(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _run(job: Job, progress: Callable[[int], None]) -> Outcome:
    if job.setting == "transfer" and job.crafted is not None:
        return job.crafted
    target, clean = job.target, job.target.space.shares(job.codes)
    named: Any = {"ids": job.ids, "targets": job.targets, "seed": job.seed, "progress": progress}
    if job.setting == "transfer":
        return craft(target, job.attack, clean, job.labels, **named)
    victim = target.white_box() if job.setting == "white-box" else target.victim()
    # The first success may be one of these masks alone; the largest mean loss is the best guess about others.
    named |= {"stop_early": target.masks is None, "nearest": job.nearest}
    problem = _problem(target, victim, clean, job.labels, **named)
    if target.goal is not None:
        return run_on(job.attack, problem, target.goal)
    found = job.attack.run(problem)
    return found if target.masks is None else replace(found, x=_at_the_edge(job, problem.x, found.x))


def _at_the_edge(job: Job, clean: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """What a minimum-norm attack found at the nearest boundary of some masks, moved on as far as eps allows,
    for other masks put the boundary elsewhere."""
    norm = norm_of(job.attack)
    if job.attack.budgeted or job.eps is None or norm not in ("linf", "l2"):
        return x
    space = job.target.space
    return space.stretch(x, clean, norm, space.radius(norm, job.eps))


def _measured(job: Job, found: _Found) -> AttackRun:
    final = score(job.target.backend, found.inputs, job.labels, graph=_meaning(job.target))
    correct = found.clean.decided == job.labels
    base = base_of(job.target.on, found.clean, job.labels, len(exit_tensors(job.target.graph)))
    fooled = won(job.target.on, found.clean.exit, final, job.labels, job.targets)
    hides = hides_from_source(job.attack)
    unnoticed = _unnoticed(job, found.inputs) if hides else np.ones(len(fooled), bool)
    fooled &= unnoticed
    distance = measured_distances(job.target, job.codes, found.inputs)
    within = _within(job, distance)
    success = base & fooled & within
    return AttackRun(
        conditions=_conditions(job),
        x=found.inputs,
        y=job.labels,
        ids=job.ids,
        correct=correct,
        success=success,
        tied=success & final.tied,
        claimed=found.claimed,
        decided=final.decided,
        queries=found.queries,
        distances=distance,
        seconds=time.monotonic() - found.started,
        targets=job.targets,
        outside_budget=int((base & fooled & ~within).sum()),
        base=base,
        exits=_exits(job, found.inputs),
        under_seeds=_under_seeds(job, found.inputs, within & unnoticed),
        nearest=found.nearest,
    )


def _exits(job: Job, inputs: np.ndarray) -> ExitRun | None:
    """Measured on the host, which equals the device in every byte; None for a network without exits, and for
    inputs that no device can be given."""
    target, policy = job.target, policy_of(job.target.graph)
    if policy is None or target.is_float or inputs.dtype == np.float32:
        return None
    before, after = (measure(target.graph, x, simulator=target.simulator) for x in (job.codes, inputs))
    cost = np.array(costs_in_macs(target.graph).shares)
    return ExitRun(before.label, after.label, before.taken(policy) + 1, after.taken(policy) + 1, cost)


def _meaning(target: Target) -> Graph | None:
    """What the back end's outputs mean: a float source answers with logits alone."""
    return None if target.is_float else target.graph


def _under_seeds(job: Job, inputs: np.ndarray, valid: np.ndarray) -> UnderSeeds | None:
    if job.target.masks is None:
        return None
    simulator, masks = job.target.simulator, job.target.masks
    return under_seeds(simulator, masks, job.codes, inputs, job.labels, job.targets, valid)


def measured_distances(target: Target, codes: np.ndarray, inputs: np.ndarray) -> Distances:
    """Distances, in fractions of the pixel range, of adversarial `inputs`, as an AttackRun stores them, from
    the clean `codes`."""
    space = target.space
    clean = space.round(space.shares(codes))
    return distances(clean.numpy(), _shares(target, inputs).numpy())


def _unnoticed(job: Job, inputs: np.ndarray) -> np.ndarray:
    """Whether the float source still answers with the label."""
    assert job.target.float_victim is not None
    return score(FloatBackend(job.target.float_victim), inputs, job.labels).decided == job.labels


def _within(job: Job, distance: Distances) -> np.ndarray:
    """Whether each input keeps the budget. A transfer is counted at its eps before the rounding."""
    if job.eps is None or (job.attack.budgeted and job.setting == "transfer"):
        return np.ones(len(job.codes), bool)
    return inside(distance.of(norm_of(job.attack)), job.eps)


def _conditions(job: Job) -> Conditions:
    target, space = job.target, job.target.space
    shares = None if norm_of(job.attack) == "l0" else job.eps  # L0 counts elements
    on_codes = space.grid_step is not None and torch.equal(space.grid_step, space.code_step)
    grid = "none" if space.grid_step is None else ("codes" if on_codes else "pixels")
    return Conditions(
        attack=job.attack.name,
        norm=norm_of(job.attack),
        eps=job.eps,
        eps_codes=None if shares is None else eps_codes(shares, space.code_step.tolist()),
        setting=job.setting,
        scores=target.show,
        backend=target.backend.name,
        grid=grid,
        parameters=parameters_of(job.attack),
        seed=job.seed,
        batch_size=target.batch_size,
        threads=torch.get_num_threads(),
        model_sha256=target.graph.sha256,
        source=target.source,
        version=VERSION,
        filter_gradient=target.simulator.filter_gradient,
        against_detector=target.simulator.aware,
        output=answer_name(target.graph),
        on=target.on,
        keep_answer=bool(target.goal and target.goal.keep_answer),
        policy=None if (policy := policy_of(target.graph)) is None else str(policy),
    )
