# SPDX-License-Identifier: Apache-2.0
"""Which attack of which library is compared at which settings; the parameters have the library's own names.

The paper's settings (Costa & Pinto, EuroS&P 2024) are the cases called `paper`, as far as a float network and
the library allow; the larger budgets beside them show what the attack can do. Budgets are chosen so that the
float network keeps 5 to 80 % of its accuracy, where a comparison discriminates.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Auto-PGD from other starting points scatters by a point (one seed): three seeds do not tell attacks apart.
MANY = 12


@dataclass(frozen=True)
class Case:
    """One row: `adapter` of oracles.py on the first `count` held-out images of `network`'s data.

    `norm` is what is measured: for a budget attack the norm of its budget, for a minimum-norm attack
    (`budget` None) the norm that it minimises. `seeds` is 1 where the attack draws nothing or takes long.
    """

    name: str
    adapter: str
    parameters: dict[str, Any]
    norm: str
    budget: float | None = None
    targeted: bool = False
    network: str = "digits"
    count: int = 200
    seeds: int = 3
    note: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        target = "/targeted" if self.targeted else ""
        return f"{self.network}/{self.name}{target}/{self.adapter}"


def _linf(name: str, adapter: str, eps: float, **rest: Any) -> Case:
    """A case with a Linf budget, under the argument that the library calls it by."""
    argument = "epsilon" if adapter.startswith("foolbox") else "eps"
    options = {key: rest.pop(key) for key in ("targeted", "network", "count", "seeds", "note") if key in rest}
    return Case(name, adapter, {argument: eps, **rest}, "linf", eps, **options)


def _l2(name: str, adapter: str, eps: float, **rest: Any) -> Case:
    argument = "epsilon" if adapter.startswith("foolbox") else "eps"
    options = {key: rest.pop(key) for key in ("targeted", "network", "count", "seeds", "note") if key in rest}
    named = {} if adapter.startswith("foolbox") else {"norm": 2 if adapter.startswith("art") else "L2"}
    if adapter == "torchattacks_pgd_l2":
        named = {}
    return Case(name, adapter, {argument: eps, **named, **rest}, "l2", eps, **options)


def _gradient_cases() -> list[Case]:
    cases = []
    for eps in (0.05, 0.08):
        step = eps / 4
        label = f"eps{eps}"
        cases += [
            _linf(f"fgsm-{label}", "art_fgsm", eps, seeds=1),
            _linf(f"fgsm-{label}", "torchattacks_fgsm", eps, seeds=1),
            _linf(f"pgd20-{label}", "art_pgd", eps, eps_step=step, max_iter=20, num_random_init=1),
            _linf(f"pgd20-{label}", "foolbox_pgd_linf", eps, abs_stepsize=step, steps=20),
            _linf(f"pgd20-{label}", "torchattacks_pgd_linf", eps, alpha=step, steps=20),
            _linf(f"pgd20x5-{label}", "art_pgd", eps, eps_step=step, max_iter=20, num_random_init=5),
            _linf(
                f"pgd20-{label}", "art_pgd", eps, eps_step=step, max_iter=20, num_random_init=1, targeted=True
            ),
            _linf(f"pgd20-{label}", "torchattacks_pgd_linf", eps, alpha=step, steps=20, targeted=True),
            _linf(f"apgd-ce50-{label}", "torchattacks_apgd", eps, steps=50, seeds=MANY),
            _linf(
                f"apgd-ce50-{label}",
                "art_apgd",
                eps,
                seeds=MANY,
                eps_step=2 * eps,
                max_iter=50,
                nb_random_init=1,
                loss_type="cross_entropy",
            ),
            _linf(f"apgd-dlr50-{label}", "torchattacks_apgd", eps, steps=50, loss="dlr"),
            _linf(
                f"apgd-dlr50-{label}",
                "art_apgd",
                eps,
                eps_step=2 * eps,
                max_iter=50,
                nb_random_init=1,
                loss_type="difference_logits_ratio",
            ),
            _linf(f"apgd-t50-{label}", "torchattacks_apgd_targeted", eps, steps=50),
            _linf(f"fab-t50-{label}", "torchattacks_fab", eps, steps=50, multi_targeted=True),
            _linf(
                f"autoattack-{label}",
                "torchattacks_auto",
                eps,
                note="its APGD, APGD-T and FAB-T take 10 steps",
            ),
        ]
    for eps in (0.3, 0.5):
        step = eps / 4
        cases += [
            _l2(f"pgd20-l2-eps{eps}", "art_pgd", eps, eps_step=step, max_iter=20, num_random_init=1),
            _l2(f"pgd20-l2-eps{eps}", "foolbox_pgd_l2", eps, abs_stepsize=step, steps=20),
            _l2(f"pgd20-l2-eps{eps}", "torchattacks_pgd_l2", eps, alpha=step, steps=20),
            _l2(f"apgd-ce50-l2-eps{eps}", "torchattacks_apgd", eps, steps=50),
        ]
    return cases


def _minimum(name: str, adapter: str, measured: str, /, **rest: Any) -> Case:
    options = {key: rest.pop(key) for key in ("targeted", "network", "count", "seeds", "note") if key in rest}
    return Case(name, adapter, rest, measured, None, **options)


def _minimum_norm_cases() -> list[Case]:
    cases = [
        _minimum("deepfool-paper", "art_deepfool", "l2", max_iter=100, epsilon=0.008, nb_grads=10, seeds=1),
        _minimum("deepfool-paper", "foolbox_deepfool", "l2", steps=100, overshoot=0.008, seeds=1),
        _minimum("deepfool-paper", "torchattacks_deepfool", "l2", steps=100, overshoot=0.008, seeds=1),
        _minimum("fab-t50-linf", "torchattacks_fab", "linf", eps=1.0, steps=50, multi_targeted=True),
        _minimum("fab-t50-l2", "torchattacks_fab", "l2", norm="L2", eps=10.0, steps=50, multi_targeted=True),
        _minimum("jsma-paper", "art_jsma", "l0", theta=0.08, gamma=1.0, targeted=True, seeds=1),
        _minimum("jsma-theta1", "art_jsma", "l0", theta=1.0, gamma=1.0, targeted=True, seeds=1),
    ]
    for name, steps in (("paper", 10), ("100", 100)):
        for targeted in (False, True):
            rest: dict[str, Any] = {"targeted": targeted, "seeds": 1}
            carlini = {"binary_search_steps": 10, "initial_const": 0.01}
            cases += [
                _minimum(f"cw-l2-{name}", "art_carlini_l2", "l2", max_iter=steps, **carlini, **rest),
                _minimum(f"cw-l2-{name}", "foolbox_carlini_l2", "l2", steps=steps, **carlini, **rest),
                _minimum(f"ead-en-{name}", "art_ead", "l1", max_iter=steps, **carlini, **rest),
                _minimum(
                    f"ead-en-{name}",
                    "foolbox_ead",
                    "l1",
                    steps=steps,
                    regularization=0.001,
                    **carlini,
                    **rest,
                ),
            ]
    note = "ART takes one image at a time; its targeted form keeps images that miss the target"
    for name, steps in (("paper", 10), ("100", 100)):
        rest = {"learning_rate": 0.01, "seeds": 1, "count": 20, "note": note}
        cases.append(_minimum(f"cw-linf-{name}", "art_carlini_linf", "linf", max_iter=steps, **rest))
    return cases


def _score_cases() -> list[Case]:
    cases = []
    for eps in (0.05, 0.08):
        for queries in (300, 1000):
            label = f"square{queries}-eps{eps}"
            cases += [
                _linf(label, "torchattacks_square", eps, n_queries=queries, p_init=0.8),
                _linf(label, "art_square", eps, max_iter=queries, p_init=0.8),
            ]
    for queries in (300, 1000):
        note = "ART's needs images of 20 pixels or more"
        cases.append(
            _l2(
                f"square{queries}-l2-eps0.5",
                "torchattacks_square",
                0.5,
                n_queries=queries,
                p_init=0.8,
                note=note,
            )
        )
    zoo: dict[str, Any] = {
        "binary_search_steps": 5,
        "initial_const": 0.01,
        "use_resize": False,
        "use_importance": False,
    }
    few: dict[str, Any] = {"count": 20, "seeds": 1, "note": "ART's fails at any batch size but 1"}
    for name, steps in (("paper", 10), ("100", 100)):
        zoo["max_iter"] = steps
        cases.append(_minimum(f"zoo-{name}", "art_zoo", "l2", nb_parallel=64, batch_size=1, **zoo, **few))
    return cases


def _decision_cases() -> list[Case]:
    boundary = {"delta": 0.1, "epsilon": 1.0}
    return [
        _minimum("boundary-1000", "art_boundary", "l2", max_iter=25, **boundary),
        _minimum("hopskipjump-1000", "art_hop_skip_jump", "l2", max_iter=5, init_eval=100),
        _minimum("geoda-1000", "art_geoda", "l2", sub_dim=75, bin_search_tol=1e-4, max_iter=1000),
        _minimum("hopskipjump-1000", "foolbox_hop_skip_jump", "l2", steps=5),
        _minimum("boundary-1000", "foolbox_boundary", "l2", steps=1000),
        _minimum("boundary-paper", "art_boundary", "l2", max_iter=500, **boundary),
        _minimum("geoda-paper", "art_geoda", "l2", sub_dim=75, bin_search_tol=1e-4),
        _minimum("hopskipjump-5000", "art_hop_skip_jump", "l2", max_iter=15, init_eval=100),
        _minimum("hopskipjump-linf-1000", "art_hop_skip_jump", "linf", max_iter=5, norm=np.inf),
    ]


def _resnet8_cases() -> list[Case]:
    rest: dict[str, Any] = {"network": "resnet8", "count": 50}
    code = 1 / 255
    cases = []
    for label, eps in (("eps0.5code", code / 2), ("eps1code", code), ("eps2code", 2 * code)):
        cases += [
            _linf(f"fgsm-{label}", "art_fgsm", eps, seeds=1, **rest),
            _linf(f"pgd20-{label}", "art_pgd", eps, eps_step=eps / 4, max_iter=20, num_random_init=1, **rest),
            _linf(f"pgd20-{label}", "torchattacks_pgd_linf", eps, alpha=eps / 4, steps=20, **rest),
        ]
    for label, eps in (("eps0.5code", code / 2), ("eps1code", code)):
        cases += [
            _linf(f"apgd-ce50-{label}", "torchattacks_apgd", eps, steps=50, **rest),
            _linf(f"apgd-t50-{label}", "torchattacks_apgd_targeted", eps, steps=50, seeds=1, **rest),
        ]
    cases += [
        _linf("square300-eps2code", "torchattacks_square", 2 * code, n_queries=300, p_init=0.8, **rest),
        _linf(
            "square1000-eps2code",
            "torchattacks_square",
            2 * code,
            n_queries=1000,
            p_init=0.8,
            **(rest | {"count": 100}),
        ),
        _linf("square300-eps2code", "art_square", 2 * code, max_iter=300, p_init=0.8, seeds=1, **rest),
        _l2("square300-l2-eps0.3", "torchattacks_square", 0.3, n_queries=300, p_init=0.8, **rest),
        _l2("square300-l2-eps0.3", "art_square", 0.3, max_iter=300, p_init=0.8, seeds=1, **rest),
    ]
    rest["seeds"] = 1
    carlini = {"max_iter": 10, "binary_search_steps": 10, "initial_const": 0.01}
    cases += [
        _minimum("deepfool-paper", "art_deepfool", "l2", max_iter=100, epsilon=0.008, nb_grads=10, **rest),
        _minimum("deepfool-paper", "foolbox_deepfool", "l2", steps=100, overshoot=0.008, **rest),
        _minimum("cw-l2-paper", "art_carlini_l2", "l2", **carlini, **rest),
        _minimum("ead-en-paper", "art_ead", "l1", **carlini, **rest),
        _minimum(
            "jsma-paper", "art_jsma", "l0", theta=0.08, gamma=1.0, targeted=True, **(rest | {"count": 50})
        ),
    ]
    few = rest | {"count": 10}
    boundary = {"delta": 0.1, "epsilon": 1.0}
    zoo: dict[str, Any] = {"binary_search_steps": 5, "initial_const": 0.01, "use_resize": False}
    zoo |= {"use_importance": False, "max_iter": 10, "nb_parallel": 128, "batch_size": 1}
    cases += [
        _minimum("zoo-paper", "art_zoo", "l2", **zoo, **(rest | {"count": 3})),
        _minimum("cw-linf-paper", "art_carlini_linf", "linf", max_iter=10, learning_rate=0.01, **few),
        _minimum("boundary-1000", "art_boundary", "l2", max_iter=25, **boundary, **few),
        _minimum("geoda-1000", "art_geoda", "l2", sub_dim=75, bin_search_tol=1e-4, max_iter=1000, **few),
        _minimum("hopskipjump-1000", "art_hop_skip_jump", "l2", max_iter=5, init_eval=100, **few),
    ]
    return cases


def cases() -> list[Case]:
    """Every row, the quick ones first."""
    return [
        *_gradient_cases(),
        *_minimum_norm_cases(),
        *_score_cases(),
        *_decision_cases(),
        *_resnet8_cases(),
    ]
