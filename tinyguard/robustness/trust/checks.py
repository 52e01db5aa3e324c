# SPDX-License-Identifier: Apache-2.0
"""Does a figure deserve trust? Checks for gradients that fail where the network itself would give way.

After Athalye, Carlini & Wagner 2018 (arXiv 1802.00420, section 3.1) and Carlini et al. 2019 (arXiv
1902.06705). A warning says that the white-box attack is beaten by something that should be weaker: the
network is easier to fool than the figure says. Two attacks are compared sample by sample, and a warning
needs a difference that a fair coin would give in fewer than 5 of 100 cases (McNemar's exact test,
one-sided), unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from tinyguard.attacks.random_signs import RandomSigns
from tinyguard.attacks.square import Square
from tinyguard.robustness.attack_run import AttackRun, Check
from tinyguard.robustness.attacked_network import Target
from tinyguard.robustness.run import attack_samples
from tinyguard.robustness.trust.trials import (
    SIGNIFICANT,
    Trials,
    attack_of,
    fewer_by_luck,
    leaky,
    stronger,
    trials_of,
)

SAMPLES = 64
QUERIES = 500
_STEPS = (1, 5, 20, 50)
_PATH = 2.5  # eps: the length of all steps together
_GROWTH = (0.5, 1, 2, 4)  # of eps
_STARTS = 5
_DRAWS = 10  # of random signs
_DITHERED = 4  # points that one proposal's score is the mean of
_FULL_STEPS = 50

Progress = Callable[[int, int], None]


def masking_checks(
    target: Target,
    run: AttackRun,
    codes: np.ndarray,
    labels: np.ndarray,
    *,
    samples: int = SAMPLES,
    queries: int = QUERIES,
    progress: Progress = lambda done, total: None,
) -> tuple[Check, ...]:
    """Checks of the figure of `run`, which was made on `codes` (N, *shape) with `labels` int64 (N,).

    They take the first `samples` that were right before the attack; `queries` is what a black-box attack
    gets for each. A check that cannot be made passes with the value None and says why in its note.
    """
    trials = trials_of(target, run, codes, labels, samples)
    if not len(trials):
        return (Check("samples", True, None, "skipped: no sample was right before the attack"),)
    white, moved = trials.climbed(), _transferred(trials)
    checks: list[Callable[[], Check]] = [
        partial(_repeatable, target, trials),
        partial(_steps, trials),
        partial(_eps, trials),
        partial(_restarts, trials),
        partial(_full_range, trials),
        partial(_random_signs, trials, white),
        partial(_transfer, moved, white),
        partial(_black_box, trials, white, moved, queries),
        partial(_leaky, trials, white),
    ]
    results: list[Check] = []
    for check in checks:
        progress(len(results), len(checks))
        results.append(check())
    progress(len(results), len(checks))
    return tuple(results)


def checked(
    target: Target,
    run: AttackRun,
    codes: np.ndarray,
    labels: np.ndarray,
    *,
    samples: int = SAMPLES,
    queries: int = QUERIES,
    progress: Progress = lambda done, total: None,
) -> AttackRun:
    """`run` with its checks; of a white-box run on an integer network the stronger of two, its own and the
    same attack through clamps that leak, as `extra["mask"]` says."""
    checks = masking_checks(target, run, codes, labels, samples=samples, queries=queries, progress=progress)
    if target.is_float or run.conditions.setting != "white-box":
        return replace(run, checks=checks)
    other = attack_samples(
        leaky(target), attack_of(run), "white-box", codes, labels,
        ids=run.ids, targets=run.targets, eps=run.conditions.eps, seed=run.conditions.seed,
    )  # fmt: skip
    better = other if _beats(other, run) else run
    mask = {
        "reported": "leaky" if better is other else "exact",
        "exact_robust_share_of_correct": run.as_dict()["robust_share_of_correct"],
        "leaky_robust_share_of_correct": other.as_dict()["robust_share_of_correct"],
    }
    seconds = run.seconds + other.seconds
    return replace(better, checks=checks, seconds=seconds, extra={**better.extra, "mask": mask})


def _beats(other: AttackRun, run: AttackRun) -> bool:
    """Whether `other` leaves fewer samples, or as many at a smaller median distance without a budget."""
    if other.left != run.left or run.conditions.eps is not None or not run.success.any():
        return other.left < run.left
    norm = run.conditions.norm
    distances = (np.median(outcome.distances.of(norm)[outcome.success]) for outcome in (other, run))
    return bool(next(distances) < next(distances))


def _repeatable(target: Target, trials: Trials) -> Check:
    """The back end answers alike twice; a network that draws noise needs attacks that average over it."""
    first, second = (target.backend.run(trials.codes) for _ in range(2))
    apart = [(a != b).reshape(len(trials), -1).any(axis=1) for a, b in zip(first, second, strict=True)]
    differ = np.any(apart, axis=0)
    note = "outputs that change when the input is given again"
    if differ.any():
        note += "; attack with autoattack --set version=rand, or eot passes"
    return Check("repeatable", not differ.any(), float(differ.mean()), note)


def _steps(trials: Trials) -> Check:
    """Many small steps are no weaker than one large one: PGD's are 2.5 eps / steps long (Madry et al. 2018),
    so that a longer run does not begin with a shorter one's."""
    sized = hasattr(trials.climber, "step_size")
    runs = [
        trials.climbed(steps=steps, **({"step_size": _PATH * trials.eps / steps} if sized else {}))
        for steps in _STEPS
    ]
    return _monotone("steps", [f"{steps}" for steps in _STEPS], runs)


def _eps(trials: Trials) -> Check:
    budgets = _budgets(trials)
    runs = [trials.climbed(eps=eps) for eps in budgets]
    return _monotone("eps", [f"{eps:.3g}" for eps in budgets], runs)


def _budgets(trials: Trials) -> list[float]:
    """Half, one, two and four times eps, as far as codes and the pixel range allow."""
    step = trials.target.space.grid_step
    least = 0.0 if step is None else float(step.min())
    budgets = [min(max(trials.eps * growth, least), trials.full_range) for growth in _GROWTH]
    return [eps for i, eps in enumerate(budgets) if eps not in budgets[:i]]


def _monotone(name: str, labels: list[str], runs: list[np.ndarray]) -> Check:
    """The accuracy left must not rise from one run to a later one; the value is the largest rise."""
    left = [float((~run).mean()) for run in runs]
    pairs = [(a, b) for b in range(len(runs)) for a in range(b)]
    worse = [(a, b) for a, b in pairs if stronger(runs[a], runs[b])]
    rise = max((left[b] - left[a] for a, b in pairs), default=0.0)
    note = "left at " + ", ".join(f"{label}: {_percent(x)}" for label, x in zip(labels, left, strict=True))
    return Check(name, not worse, max(rise, 0.0), note)


def _restarts(trials: Trials) -> Check:
    """Five starts gain little over one: less than another choice of samples would (Fisher's exact test)."""
    single, more = (int((~trials.climbed(restarts=starts)).sum()) for starts in (1, _STARTS))
    count = len(trials)
    note = f"1 start leaves {_percent(single / count)}, {_STARTS} leave {_percent(more / count)}"
    passed = fewer_by_luck(single, more, count) >= SIGNIFICANT
    return Check("restarts", passed, (single - more) / count, note)


def _full_range(trials: Trials) -> Check:
    broken = trials.climbed(eps=trials.full_range, steps=_FULL_STEPS, restarts=_STARTS)
    note = f"left where every input is allowed, {_FULL_STEPS} steps and {_STARTS} starts; 0 is expected"
    return Check("full range", bool(broken.all()), float((~broken).mean()), note)


def _random_signs(trials: Trials, white: np.ndarray) -> Check:
    """Blind noise is weaker: it breaks fewer samples, unless both break none or all."""
    blind = trials.broken(RandomSigns(trials.eps, trials.norm, _DRAWS), "black-box")
    passed = blind.sum() < white.sum() or not (blind | white).any() or bool((blind & white).all())
    note = f"left by the best of {_DRAWS} draws; white-box leaves {_percent((~white).mean())}"
    return Check("random signs", bool(passed), float((~blind).mean()), note)


def _transferred(trials: Trials) -> np.ndarray | None:
    """What falls to the same attack crafted on the float source; None without one."""
    if trials.target.is_float or trials.target.float_victim is None:
        return None
    return trials.broken(trials.climber, "transfer")


def _transfer(moved: np.ndarray | None, white: np.ndarray) -> Check:
    if moved is None:
        return Check("transfer", True, None, "skipped: needs the float network, --source")
    return _not_stronger("transfer", moved, white)


def _black_box(trials: Trials, white: np.ndarray, moved: np.ndarray | None, queries: int) -> Check:
    """The best of transfer, Square that accepts ties, and Square on scores averaged over dithered points."""
    attacks = {
        "square": Square(trials.eps, trials.norm, queries),
        "square, dithered": Square(trials.eps, trials.norm, _DITHERED * queries, draws=_DITHERED),
    }
    broken = {name: trials.broken(attack, "black-box") for name, attack in attacks.items()}
    if moved is not None:
        broken["transfer"] = moved
    best = max(broken, key=lambda name: int(broken[name].sum()))
    return _not_stronger("black-box", broken[best], white, f"{best} leaves the fewest; ")


def _leaky(trials: Trials, white: np.ndarray) -> Check:
    if trials.target.is_float:
        return Check("leaky mask", True, None, "skipped: a float network has no clamps of codes")
    return _not_stronger("leaky mask", trials.broken(trials.climber, target=leaky(trials.target)), white)


def _not_stronger(name: str, other: np.ndarray, white: np.ndarray, note: str = "") -> Check:
    """`other` must not break more than the white-box attack; the value is the accuracy it leaves."""
    note += (
        f"white-box leaves {_percent((~white).mean())}; {int((other & ~white).sum())} fall to {name} alone"
    )
    return Check(name, not stronger(other, white), float((~other).mean()), note)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
