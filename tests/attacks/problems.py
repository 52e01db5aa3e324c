# SPDX-License-Identifier: Apache-2.0
"""Problems whose answers are known, and one on the digits network, for the tests of gradient attacks."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from tinyguard.attacks.problem import Outcome, Problem
from tinyguard.attacks.space import Space, continuous, space_of
from tinyguard.attacks.victim import Answer, FloatVictim, IntegerVictim, Objective, Slope, Victim
from tinyguard.data import load_data, to_codes
from tinyguard.graph import Graph
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
ELEMENTS = 24
DUAL = {"linf": 1, "l2": 2}


@dataclass
class Counted:
    """A victim that counts the images it is asked about."""

    victim: Victim
    asked: int = field(default=0)

    @property
    def space(self) -> Space:
        return self.victim.space

    @property
    def classes(self) -> int:
        return self.victim.classes

    @property
    def logit_step(self) -> float:
        return self.victim.logit_step

    def query(self, x: torch.Tensor) -> Answer:
        self._count(x)
        return self.victim.query(x)

    def slope(self, x: torch.Tensor, objective: Objective, backward: bool = True) -> Slope:
        self._count(x)
        return self.victim.slope(x, objective, backward)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        self._count(x)
        return self.victim.logits(x)

    def _count(self, x: torch.Tensor) -> None:
        assert len(x), "an empty selection reached the network"
        self.asked += len(x)


@dataclass
class Linear:
    """logits = weight x: `distances(norm)` (N,) is how far the nearest other class is, the box aside."""

    problem: Problem
    weight: torch.Tensor

    def distances(self, norm: str) -> torch.Tensor:
        x, y = self.problem.x, self.problem.y
        logits = x @ self.weight.T
        height = logits.gather(1, y[:, None]) - logits
        slopes = (self.weight[y][:, None] - self.weight[None]).norm(p=DUAL[norm], dim=2)
        return (height / slopes).scatter(1, y[:, None], torch.inf).min(dim=1).values


def linear(classes: int = 5, count: int = 16, seed: int = 5) -> Linear:
    """Points in the middle of the box, each in the class that a linear classifier gives it."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(classes, ELEMENTS, generator=generator)
    x = 0.35 + 0.3 * torch.rand(count, ELEMENTS, generator=generator)
    victim = FloatVictim(lambda z: z @ weight.T, continuous((ELEMENTS,)), classes)
    return Linear(Problem(victim, x, victim.query(x).decided, None, torch.arange(count) + 40, 0), weight)


def digits(count: int = 16) -> Problem:
    """The first held-out digits that the int8 network gets right."""
    return held_out(DIGITS, "digits:test", count)[1]


def cifar10(path: Path, count: int) -> tuple[Graph, Problem]:
    """A network, and the first CIFAR-10 test images that it gets right."""
    return held_out(path, "cifar10:test", count)


def held_out(path: Path, data: str, count: int) -> tuple[Graph, Problem]:
    graph, metadata = read_graph(path), read_metadata(path)
    tensor = graph.tensors[graph.inputs[0]]
    samples = load_data(data, tensor, limit=count)
    space = space_of(tensor, None if metadata is None else metadata.normalization)
    victim = IntegerVictim(Simulator(graph), space)
    x, y = space.shares(to_codes(samples, tensor, metadata)), torch.from_numpy(samples.y).long()
    problem = Problem(victim, x, y, None, torch.arange(count) + 40, 0)
    return graph, problem.select(~problem.fooled(victim.query(x).decided))


def size(outcome: Outcome, problem: Problem, norm: str) -> torch.Tensor:
    """The norm of what was added to each sample, (N,)."""
    order = {"linf": torch.inf, "l2": 2}[norm]
    return (outcome.x - problem.x).flatten(1).norm(p=order, dim=1)
