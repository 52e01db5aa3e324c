# SPDX-License-Identifier: Apache-2.0
"""What quantization does to gradients, and how far the decision boundary lies.

After Costa & Pinto 2024 (arXiv 2404.05688). Finite differences step by one code and divide by it: smaller
steps are rounded to none or one code, which makes gradients vanish or explode that do neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from tinyguard.attacks.deepfool import DeepFool
from tinyguard.attacks.draws import Draws
from tinyguard.attacks.losses import find_loss, objective
from tinyguard.attacks.problem import Attack, Problem
from tinyguard.attacks.victim import Slope, Victim
from tinyguard.errors import TinyguardError
from tinyguard.graph.answer import decide
from tinyguard.robustness.attacked_network import FloatBackend, Target
from tinyguard.robustness.distortion import median
from tinyguard.robustness.run import attack_samples
from tinyguard.robustness.scoring import score
from tinyguard.robustness.threat_model import norm_of

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class Agreement:
    """The gradients of one loss on the float and on the integer network, one value per sample (n,).

    `cosine` of the two (NaN where one is zero), `signs`: fraction of the elements with equal signs among
    those where the float gradient is not zero.
    """

    cosine: np.ndarray
    signs: np.ndarray


@dataclass(frozen=True, eq=False)
class OneCode:
    """Fractions (n,) of steps by one code of single elements that change nothing: no `output` code, no logit
    at all, the label's `own_output`, its `own_logit`. There a finite difference is zero."""

    output: np.ndarray
    logits: np.ndarray
    own_output: np.ndarray
    own_logit: np.ndarray


@dataclass(frozen=True, eq=False)
class GradientFigures:
    """Of samples that are right (n). `zero`: fraction of elements with zero straight-through gradient, (n,).

    `one_code` are the finite differences. `distances` float64 (m,), in fractions of the pixel range, are
    those that a minimum-norm attack found on the integer network, `float_distances` on the float source.
    """

    zero: np.ndarray
    one_code: OneCode
    agreement: Agreement | None
    norm: str
    step: float
    distances: np.ndarray
    float_distances: np.ndarray | None

    def as_dict(self) -> dict[str, Any]:
        """For --json: medians and quantiles; distances of [0, 1] pixels, and their median in codes too."""
        middle = median(self.distances)
        agreement = None
        if self.agreement is not None:
            agreement = {
                "cosine": quantiles(self.agreement.cosine),
                "sign_agreement": quantiles(self.agreement.signs),
            }
        return {
            "samples": len(self.zero),
            "float_and_integer": agreement,
            "zero_gradient_samples": _share(self.zero == 1),
            "zero_gradient_elements": _share(self.zero),
            "one_code_steps": {
                "output_unchanged_median": median(self.one_code.output),
                "output_unchanged": _share(self.one_code.output),
                "logits_unchanged": _share(self.one_code.logits),
                "own_output_unchanged": _share(self.one_code.own_output),
                "own_logit_unchanged": _share(self.one_code.own_logit),
            },
            "boundary": {
                "norm": self.norm,
                "found": len(self.distances),
                "distance": quantiles(self.distances),
                "distance_median_codes": None if middle is None else middle / self.step,
                "float_distance": None if self.float_distances is None else quantiles(self.float_distances),
            },
        }


def gradient_figures(
    target: Target,
    codes: np.ndarray,
    labels: np.ndarray,
    *,
    loss: str = "ce",
    elements: int = 64,
    nearest: Attack | None = None,
    seed: int = 0,
) -> GradientFigures:
    """Measure on the samples of `codes` (N, *shape), `labels` int64 (N,), that the simulator gets right.

    Steps by one code are made on `elements` drawn elements of each; `nearest` is the minimum-norm attack
    for the distances, DeepFool where none is given. The figures that compare need the target's float
    source. Raises TinyguardError where no sample is right.
    """
    labels = np.asarray(labels, np.int64)
    right = np.flatnonzero(score(target.simulator, codes, labels, graph=target.graph).decided == labels)
    if not len(right):
        raise TinyguardError("the network gets no sample right: give samples with their labels")
    codes, labels = codes[right], labels[right]
    target = replace(target, backend=target.simulator)
    victim = target.white_box()
    own = _slope(target, victim, codes, labels, loss)
    there = None if target.float_victim is None else _slope(target, target.float_victim, codes, labels, loss)
    attack = nearest or DeepFool()
    norm = norm_of(attack)
    outcome = attack_samples(target, attack, "white-box", codes, labels, ids=right, seed=seed)
    other = None
    if target.float_victim is not None:
        source = FloatBackend(target.float_victim)  # type: ignore[arg-type]
        unbound = replace(target, backend=source, space=target.float_victim.space)
        run = attack_samples(unbound, attack, "white-box", codes, labels, ids=right, seed=seed)
        other = run.distances.of(norm)[run.success]
    return GradientFigures(
        (own.gradient.flatten(1) == 0).double().mean(dim=1).numpy(),
        _one_code(target, codes, labels, Draws(seed, torch.from_numpy(right)), elements),
        None if there is None else agreement(there.gradient, own.gradient),
        norm,
        float(target.space.code_step.mean()),
        outcome.distances.of(norm)[outcome.success],
        other,
    )


def agreement(float_gradient: torch.Tensor, integer_gradient: torch.Tensor) -> Agreement:
    """Compare gradients (n, *shape) of one loss at the same points."""
    a, b = float_gradient.flatten(1).double(), integer_gradient.flatten(1).double()
    cosine = (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1))
    moving = a != 0
    equal = ((a.sign() == b.sign()) & moving).sum(dim=1) / moving.sum(dim=1)
    return Agreement(cosine.numpy(), equal.numpy())


def quantiles(values: np.ndarray) -> dict[str, float] | None:
    """5, 25, 50, 75 and 95 % quantiles of the finite values, None without any."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    points = np.quantile(finite, _QUANTILES)
    return {f"q{round(100 * q):02d}": float(value) for q, value in zip(_QUANTILES, points, strict=True)}


def _slope(target: Target, victim: Victim, codes: np.ndarray, labels: np.ndarray, loss: str) -> Slope:
    x, y = target.space.shares(codes), torch.from_numpy(labels)
    problem = Problem(victim, x, y, None, torch.arange(len(y)), 0)
    rows = torch.arange(len(y))
    return victim.slope(x, objective(problem, rows, find_loss(loss, victim, False)))


def _one_code(target: Target, codes: np.ndarray, labels: np.ndarray, draws: Draws, elements: int) -> OneCode:
    count, size = len(codes), codes[0].size
    limits = np.iinfo(codes.dtype)
    flat = codes.reshape(count, size)
    base, own = _answers(target, codes), np.arange(count)
    same: list[np.ndarray] = []
    for step in range(elements):
        at = draws.integers(step, size, stream=0).numpy()
        up = draws.signs(step, stream=1).numpy().astype(np.int64)
        moved = flat.astype(np.int64)
        there = moved[own, at]
        moved[own, at] += np.where((there + up > limits.max) | (there + up < limits.min), -up, up)
        now = _answers(target, moved.astype(codes.dtype).reshape(codes.shape))
        whole = [(a == b).all(axis=1) for a, b in zip(now, base, strict=True)]
        label = [a[own, labels] == b[own, labels] for a, b in zip(now, base, strict=True)]
        same.append(np.stack([*whole, *label]))
    return OneCode(*np.mean(same, axis=0))


def _answers(target: Target, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Output codes and logits, both (n, classes)."""
    parts = []
    with torch.no_grad():
        for part in torch.from_numpy(codes.astype(np.float32)).split(target.batch_size):
            outputs, logits = target.simulator.taps(part)
            parts.append((decide(target.graph, outputs).scores.numpy(), logits.numpy()))
    first, second = zip(*parts, strict=True)
    return np.concatenate(first), np.concatenate(second)


def _share(values: np.ndarray) -> float:
    return float(np.mean(values))
