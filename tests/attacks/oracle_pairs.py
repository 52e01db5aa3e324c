# SPDX-License-Identifier: Apache-2.0
"""Our attacks at the settings of the oracles' rows, on the same float networks and images, the grid off."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from tests.attacks import networks
from tests.attacks.oracle_cases import Case, cases
from tests.attacks.oracle_figures import DATA, fixed_targets, predicted
from tinyguard.attacks import find_attack
from tinyguard.attacks.problem import Outcome, Problem
from tinyguard.attacks.space import continuous
from tinyguard.attacks.victim import FloatVictim

# An oracle that asks fewer queries than a row's name allows must not be beaten by more of them.
MORE_QUERIES = 1.1


@dataclass(frozen=True)
class Pair:
    """Rows of oracle_cases named `case`, every library's, and our attack with the same parameters.

    `capped`: our `max_queries` is what the library asked on average, so that both had the same queries.
    `faster`: how many times faster than ART it has to be, None where that is not a question.
    """

    case: str
    attack: str
    parameters: dict[str, Any] = field(default_factory=dict)
    capped: bool = False
    faster: float | None = None


def _with_budget() -> list[Pair]:
    pairs = []
    linf = [("0.05", 0.05), ("0.08", 0.08), ("0.5code", 0.5 / 255), ("1code", 1 / 255), ("2code", 2 / 255)]
    for name, eps in linf:
        pgd = {"eps": eps, "steps": 20, "step_size": eps / 4}
        pairs += [
            Pair(f"fgsm-eps{name}", "fgsm", {"eps": eps}),
            Pair(f"pgd20-eps{name}", "pgd", pgd, faster=1),
            Pair(f"pgd20x5-eps{name}", "pgd", {**pgd, "restarts": 5}, faster=1),
            Pair(f"apgd-ce50-eps{name}", "apgd-ce", {"eps": eps, "steps": 50}),
            Pair(f"apgd-dlr50-eps{name}", "apgd-dlr", {"eps": eps, "steps": 50}),
            Pair(f"apgd-t50-eps{name}", "apgd-t", {"eps": eps, "steps": 50}),
            Pair(f"square300-eps{name}", "square", {"eps": eps, "queries": 300, "p": 0.8}, faster=3),
            Pair(f"square1000-eps{name}", "square", {"eps": eps, "queries": 1000, "p": 0.8}, faster=3),
        ]
    for eps in (0.3, 0.5):
        l2 = {"eps": eps, "norm": "l2"}
        pairs += [
            Pair(f"pgd20-l2-eps{eps}", "pgd", {**l2, "steps": 20, "step_size": eps / 4}, faster=1),
            Pair(f"apgd-ce50-l2-eps{eps}", "apgd-ce", {**l2, "steps": 50}),
            Pair(f"square300-l2-eps{eps}", "square", {**l2, "queries": 300, "p": 0.8}, faster=3),
            Pair(f"square1000-l2-eps{eps}", "square", {**l2, "queries": 1000, "p": 0.8}, faster=3),
        ]
    return pairs


def _decisions() -> list[Pair]:
    boundary = {"delta": 0.1, "epsilon": 1.0}
    return [
        Pair("boundary-1000", "boundary", boundary, capped=True, faster=20),
        Pair("boundary-paper", "boundary", boundary, capped=True, faster=20),
        Pair("geoda-1000", "geoda", {"sub_dim": 75, "bin_search_tol": 1e-4}, capped=True, faster=20),
        Pair("geoda-paper", "geoda", {"sub_dim": 75, "bin_search_tol": 1e-4}, capped=True, faster=20),
        Pair("hopskipjump-1000", "hopskipjump", capped=True, faster=20),
        Pair("hopskipjump-5000", "hopskipjump", capped=True, faster=20),
        Pair("hopskipjump-linf-1000", "hopskipjump", {"norm": "linf"}, capped=True, faster=20),
    ]


def _stages() -> list[Pair]:
    """FAB and AutoAttack: with their budget the walks to all nine other classes, as theirs."""
    pairs = [
        # Its one walk for a sample that every budget admits costs 102 passes: ours 51 and as many to polish.
        Pair("fab-t50-linf", "fab-t", {"steps": 50, "targets": 1, "polish_queries": 50}),
        Pair("fab-t50-l2", "fab-t", {"norm": "l2", "steps": 50, "targets": 1, "polish_queries": 50}),
    ]
    for eps in (0.05, 0.08):
        pairs += [
            # Theirs judges a step by another pass forward, ours by the pass of the next step.
            Pair(f"fab-t50-eps{eps}", "fab-t", {"eps": eps, "steps": 100}),
            Pair(f"autoattack-eps{eps}", "autoattack", {"eps": eps, "steps": 10}),
        ]
    return pairs


def _minimum_norm() -> list[Pair]:
    up = {"directions": "up"}
    return [
        Pair("deepfool-paper", "deepfool", faster=3),
        Pair("jsma-paper", "jsma", {"theta": 0.08, **up}, faster=3),
        Pair("jsma-theta1", "jsma", {"theta": 1.0, **up}, faster=3),
        Pair("cw-l2-paper", "cw-l2", faster=3),
        Pair("cw-l2-100", "cw-l2", {"steps": 100}, faster=3),
        Pair("cw-linf-paper", "cw-linf", faster=3),
        Pair("cw-linf-100", "cw-linf", {"steps": 100}, faster=3),
        Pair("ead-en-paper", "ead", faster=3),
        Pair("ead-en-100", "ead", {"steps": 100}, faster=3),
        Pair("zoo-paper", "zoo", faster=3),
        Pair("zoo-100", "zoo", {"steps": 100}, faster=3),
    ]


PAIRS = (*_with_budget(), *_stages(), *_minimum_norm(), *_decisions())


def paired() -> list[tuple[Case, Pair]]:
    """Every row of a library that one of our attacks stands beside."""
    by_name = {pair.case: pair for pair in PAIRS}
    return [(case, by_name[case.name]) for case in cases() if case.name in by_name]


def problem_of(case: Case, seed: int, victim: FloatVictim | None = None) -> tuple[Problem, np.ndarray]:
    """The attack's problem on the row's images that are classified as their label, and which those are.

    `victim` is the row's network as it is to be attacked; without one, the module itself.
    """
    network = getattr(networks, case.network)()
    x, y = networks.images(DATA[case.network], case.count)
    correct = predicted(network, x) == y
    if victim is None:
        shape = x.transpose(0, 2, 3, 1).shape[1:]
        # A view of NHWC is channels last already.
        victim = FloatVictim(
            lambda shares: network(shares.permute(0, 3, 1, 2)), continuous(shape), 10, batch_size=200
        )
    shares = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    targets = torch.from_numpy(fixed_targets(y)) if case.targeted else None
    problem = Problem(victim, shares, torch.from_numpy(y), targets, torch.arange(len(y)), seed)
    return problem.select(torch.from_numpy(correct)), correct


def attack_of(case: Case, pair: Pair, forwards: float) -> Any:
    """Our attack. `forwards`: what the library asked an image, the limit where the pair is capped."""
    attack: Any = find_attack(pair.attack)(**pair.parameters)
    return replace(attack, max_queries=int(forwards)) if pair.capped else attack


def run_ours(case: Case, pair: Pair, seed: int, forwards: float) -> tuple[np.ndarray, Outcome]:
    """Adversarial images (N, C, H, W) of all the row's images, the misclassified ones unchanged."""
    problem, correct = problem_of(case, seed)
    outcome = attack_of(case, pair, forwards).run(problem)
    adversarial, _ = networks.images(DATA[case.network], case.count)
    adversarial[correct] = outcome.x.numpy().transpose(0, 3, 1, 2)
    return adversarial, outcome
