# SPDX-License-Identifier: Apache-2.0
"""The recipes by name, with the parameters of their papers, and the schedules that give them their time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tinyguard.errors import TinyguardError, unknown

SCHEDULES = ("paper", "cpu")
EXIT_ATTACKS = ("max-average", "average")
PAPER_EPS = 0.008
PAPER_STEPS = 10


@dataclass(frozen=True)
class Recipe:
    """`integer`: it trains a .tflite's integer network. `exits`: it trains all exits of a network that has
    several. `of_paper`: of Costa & Pinto 2024 (arXiv 2404.05688), whose attack steps by eps / 10."""

    name: str
    summary: str
    of_paper: bool = False
    integer: bool = False
    exits: bool = False


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe("pgd-at", "cross-entropy on PGD's examples", of_paper=True),
            Recipe(
                "distill",
                "defensive distillation: a new network from the source's soft labels",
                of_paper=True,
            ),
            Recipe(
                "ensemble-at", "PGD's examples of the network and of two that stay as they are", of_paper=True
            ),
            Recipe("sinkhorn-at", "PGD's examples, and their logits kept near the clean ones", of_paper=True),
            Recipe("trades", "cross-entropy on clean images, KL divergence to PGD's examples"),
            Recipe("fast", "one step from a random start, watched by PGD"),
            Recipe("int8-at", "PGD on the integer network of a .tflite, trained itself", integer=True),
            Recipe("exits-at", "several exits: cross-entropy on clean and attacked images", exits=True),
            Recipe("exits-skd", "exits-at, and the clean last exit teaches the clean others", exits=True),
            Recipe("exits-ard", "exits-at, and the clean last exit teaches the attacked others", exits=True),
            Recipe("exits-lw", "exits-at with small weights in each exit's last layer", exits=True),
            Recipe("neo-kd", "exits-at, distilled from neighbours and to disjoint classes", exits=True),
        )
    }
)


@dataclass(frozen=True)
class Settings:
    """Everything that decides what a run computes, but for its data, its source and the number of threads.

    `eps` and `step_size` are fractions of the pixel range; `rate` is the largest learning rate of the
    recipe's epochs, `warm_up_rate` of the fast ones before them (`warm_up` of them); `images` are drawn anew
    each epoch (None: all). `average` of a step's moving average of the weights stays. Of one recipe each:
    `temperature` and `alpha` (distill), `beta` (trades), `entropy` and `iterations` (sinkhorn-at), `clean`
    (int8-at: the fraction of the loss that clean images have), `rescale` (int8-at). Over the fraction `rise`
    of the first phase the radius grows from nothing; `rise_steps` says it in optimizer steps. Of several
    exits: `exit_attack` is one of EXIT_ATTACKS, `adversarial_weight` what the loss on attacked
    images weighs, clean ones 1; 0 trains exits-at without an attack. `drops`: (fraction of the phase, factor
    of the rate from there on) in place of a cosine.
    """

    recipe: str
    schedule: str
    eps: float = PAPER_EPS
    steps: int = PAPER_STEPS
    step_size: float | None = None
    epochs: int = 50
    warm_up: int = 0
    images: int | None = None
    batch: int = 32
    optimizer: str = "sgd"
    rate: float = 0.01
    warm_up_rate: float = 0.1
    weight_decay: float = 5e-4
    average: float = 0.998
    bfloat16: bool = True
    augment: bool = True
    patience: int = 10
    seed: int = 0
    temperature: float = 20.0
    alpha: float = 0.1
    beta: float = 6.0
    entropy: float = 1.0
    iterations: int = 50
    clean: float = 0.0
    rescale: bool = True
    rise: float = 0.0
    rise_steps: int = 0
    exit_attack: str = "max-average"
    adversarial_weight: float = 1.0
    drops: tuple[tuple[float, float], ...] = ()

    @property
    def attacks(self) -> bool:
        """Whether the recipe shows the network attacked images."""
        return self.recipe != "distill" and (self.recipe != "exits-at" or self.adversarial_weight > 0)

    @property
    def ascent_step(self) -> float:
        """The paper's eps / 10 where its recipes take its 10 steps, otherwise 2.5 eps / steps (Madry et al.),
        so that fewer steps reach the edge of the ball too."""
        if self.step_size is not None:
            return self.step_size
        if RECIPES[self.recipe].of_paper and self.steps == PAPER_STEPS:
            return self.eps / 10
        return min(self.eps, 2.5 * self.eps / self.steps)


_OF_RECIPE: Mapping[str, Mapping[str, Any]] = {
    "distill": {"optimizer": "adam", "rate": 1e-3, "weight_decay": 0.0},
    "trades": {"rate": 0.05, "batch": 128, "eps": 8 / 255, "epochs": 76},
    "fast": {"rate": 0.1, "batch": 128, "eps": 8 / 255, "epochs": 30},
    "int8-at": {
        "optimizer": "adam",
        "rate": 5e-4,
        "warm_up_rate": 3e-3,
        "batch": 128,
        "weight_decay": 0.0,
        "eps": 8 / 255,
        # An integer network has no batch norms to recover by: at the whole radius at once it stays at chance.
        "rise": 0.4,
    },
}
_OF_EXITS: Mapping[str, Any] = {
    # The schedule that Triple Wins released for MNIST: 13,100 iterations, drops after 11,700 and 12,900.
    "batch": 256,
    "epochs": 56,
    "rate": 0.033,
    "steps": 7,
    "eps": 0.3,
    "drops": ((117 / 131, 0.1), (129 / 131, 0.01)),
    "patience": 1000,
}
_CPU: Mapping[str, Any] = {
    "batch": 128,
    "steps": 3,
    "epochs": 5,
    "images": 20_000,
    "warm_up": 15,
    "rate": 0.02,
}
_CPU_OF_RECIPE: Mapping[str, Mapping[str, Any]] = {
    "distill": {"warm_up": 0, "epochs": 20, "images": None, "rate": 1e-3},
    "fast": {"warm_up": 0, "epochs": 15, "images": None, "rate": 0.1},
    "int8-at": {"warm_up": 0, "rate": 5e-4},
}
_CPU_OF_EXITS: Mapping[str, Any] = {
    "batch": 128,
    "epochs": 15,
    "images": 12_800,
    "optimizer": "adam",
    "rate": 2e-3,
    "weight_decay": 0.0,
    "steps": 5,
    "drops": ((0.6, 0.3), (0.85, 0.05)),
    "rise_steps": 400,
}


def _exits() -> list[str]:
    return [name for name, recipe in RECIPES.items() if recipe.exits]


_ONLY_OF: Mapping[str, tuple[str, ...]] = {
    "clean": ("pgd-at", "fast", "int8-at"),
    "beta": ("trades",),
    "rescale": ("int8-at",),
    **dict.fromkeys(("exit_attack", "adversarial_weight"), tuple(_exits())),
    "warm_up": tuple(name for name, recipe in RECIPES.items() if not recipe.exits),
}


def find_recipe(name: str) -> Recipe:
    """A recipe by name. Raises TinyguardError with the nearest name for an unknown one."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]


def settings_for(recipe: str, schedule: str, given: Mapping[str, Any]) -> Settings:
    """A recipe's settings on a schedule, with what was `given` (not None) in their place.

    Raises TinyguardError for unknown names, for what says nothing to the recipe and for no epochs at all.
    """
    exits = find_recipe(recipe).exits
    if schedule not in SCHEDULES:
        raise TinyguardError(f"no schedule named {schedule!r}: type --schedule {' or '.join(SCHEDULES)}")
    values = dict(_OF_EXITS if exits else _OF_RECIPE.get(recipe, {}))
    if schedule == "cpu" and exits:
        values |= _CPU_OF_EXITS
    elif schedule == "cpu":
        values |= {**_CPU, **_CPU_OF_RECIPE.get(recipe, {})}
    typed = {name: value for name, value in given.items() if value is not None}
    for name in typed:
        if recipe not in _ONLY_OF.get(name, (recipe,)):
            raise TinyguardError(
                f"--{name.replace('_', '-')} says nothing to {recipe}, only to {', '.join(_ONLY_OF[name])}: "
                "leave it out"
            )
    settings = replace(Settings(recipe, schedule), **{**values, **typed})
    if settings.warm_up + settings.epochs == 0:
        raise TinyguardError("no epochs to train: type --epochs 5")
    return settings
