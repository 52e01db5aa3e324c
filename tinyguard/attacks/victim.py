# SPDX-License-Identifier: Apache-2.0
"""What an attack sees of a network: gradients of its logits, its scores, or its decisions.

Everything takes [0, 1] pixels (N, *shape), float32, as `space` defines them; a network on a grid only ever
sees the rounding. Gradients come straight through that rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from tinyguard.attacks.space import Space
from tinyguard.backends import Backend
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.answer import answer_tensor, class_count, decide
from tinyguard.simulator.network import Simulator
from tinyguard.simulator.parallel import even_parts

_HALF_CODE = 0.5
_ELEMENTS_A_QUERY = 1 << 15  # of small inputs, whose batches would otherwise cost more in calls than in sums

Objective = Callable[[torch.Tensor, slice], torch.Tensor]
"""Losses (n,) to maximise, of logits (n, classes) of the samples in the slice."""


@dataclass(frozen=True, eq=False)
class Slope:
    """A pass forward and backward: `gradient` (N, *shape) of each sample's `loss` (N,) with respect to
    its pixels, the `logits` (N, classes), and what is `decided`, as in `Answer`."""

    gradient: torch.Tensor
    loss: torch.Tensor
    logits: torch.Tensor
    decided: torch.Tensor


@dataclass(frozen=True, eq=False)
class Answer:
    """One query: `scores` (N, classes), logarithms of the outputs or logits, and the classes `decided`,
    int64 (N,): the lowest index among the maxima of the scores, UNDECIDED where the network marks it."""

    scores: torch.Tensor
    decided: torch.Tensor


class Victim(Protocol):
    """A network under attack. `logit_step`: real distance of two neighbouring logits, 0 in float."""

    @property
    def space(self) -> Space: ...

    @property
    def classes(self) -> int: ...

    @property
    def logit_step(self) -> float: ...

    def query(self, x: torch.Tensor) -> Answer:
        """What a black-box attack may see, a run of the network for each sample."""
        ...

    def slope(self, x: torch.Tensor, objective: Objective, backward: bool = True) -> Slope:
        """Each sample's own loss and its gradient; zeros for a gradient without `backward`."""
        ...

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Real logits (N, classes) with autograd, for attacks that need passes of their own."""
        ...


class IntegerVictim:
    """An integer network: `simulator` for gradients, `backend` for what an attacker may query.

    `show` is "output" (what the board answers) or "logits" (a separate, stronger threat model).
    """

    def __init__(
        self,
        simulator: Simulator,
        space: Space,
        backend: Backend | None = None,
        show: str = "output",
        batch_size: int = 128,
    ) -> None:
        self.space = space
        self.simulator = simulator
        self.backend = backend or simulator
        self.show = show
        self.batch_size = batch_size
        self.graph = simulator.graph
        self.classes = check_classes(self.graph)
        output = answer_tensor(self.graph)
        tap = simulator.logits_tensor
        self.logit_step = tap.scale if tap.quantization else 0.0
        self._probabilities = simulator.ends_in_probabilities
        self._zero_point = output.zero_point if output.quantization else 0
        self._scale = output.scale if output.quantization else 1.0

    def query(self, x: torch.Tensor) -> Answer:
        if self.show == "logits":
            with torch.no_grad():
                parts = [
                    self.simulator.taps(self.space.straight_through_codes(x[start:end]))
                    for start, end in even_parts(len(x), self.batch_size)
                ]
            logits, decided = zip(*((z, decide(self.graph, y).decided) for y, z in parts), strict=True)
            return Answer(torch.cat(logits), torch.cat(decided))
        found = decide(self.graph, self.answered(x))
        return Answer(self._shown(found.scores), found.decided)

    def answered(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs (N, ...) of the back end, as float32."""
        if self.backend is self.simulator:
            return self.simulator.in_batches(self.space.rounded_codes(x))
        codes = self.backend.run(self.space.code_array(self.space.round(x)))
        return tuple(torch.from_numpy(y.astype(np.float32)) for y in codes)

    def slope(self, x: torch.Tensor, objective: Objective, backward: bool = True) -> Slope:
        def network(part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            outputs, logits = self.simulator.taps(self.space.straight_through_codes(part))
            return logits, decide(self.graph, outputs).decided

        return slope_in_batches(x, objective, network, self.batch_size, backward)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return self.simulator.logits(self.space.straight_through_codes(x))

    def _shown(self, output: torch.Tensor) -> torch.Tensor:
        """log(code - zero point + 0.5) of a softmax's codes: the steps from 126 to 127 and from -128 to
        -127 are alike in code and a factor of 100 apart in meaning. Other outputs: their real values."""
        steps = output - self._zero_point
        return torch.log(steps + _HALF_CODE) if self._probabilities else steps * self._scale


class FloatVictim:
    """A float network, `network(real NHWC values) -> logits`, on [0, 1] pixels.

    `real = pixel * gain + bias`. With a space on a grid it sees rounded inputs.
    """

    logit_step = 0.0

    def __init__(
        self,
        network: Callable[[torch.Tensor], torch.Tensor],
        space: Space,
        classes: int,
        gain: torch.Tensor | float = 1.0,
        bias: torch.Tensor | float = 0.0,
        batch_size: int = 128,
    ) -> None:
        self.network, self.space, self.classes, self.batch_size = network, space, classes, batch_size
        self.gain, self.bias = gain, bias
        self._plain = bool((torch.as_tensor(gain) == 1).all() and (torch.as_tensor(bias) == 0).all())

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        rounded = self.space.round(x.detach())
        shares = rounded if not x.requires_grad else x + (rounded - x).detach()
        return self.network(shares if self._plain else shares * self.gain + self.bias)

    def query(self, x: torch.Tensor) -> Answer:
        size = max(self.batch_size, _ELEMENTS_A_QUERY // math.prod(self.space.shape))
        with torch.no_grad():
            logits = torch.cat([self.logits(x[start:end]) for start, end in even_parts(len(x), size)])
        return Answer(logits, logits.argmax(dim=1))

    def slope(self, x: torch.Tensor, objective: Objective, backward: bool = True) -> Slope:
        def network(part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = self.logits(part)
            return logits, logits.detach().argmax(dim=1)

        return slope_in_batches(x, objective, network, self.batch_size, backward)


def slope_in_batches(
    x: torch.Tensor,
    objective: Objective,
    network: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    batch_size: int,
    backward: bool,
) -> Slope:
    """`Slope` of `network(x) -> (logits with autograd, decided)`, a batch at a time."""
    parts: list[tuple[torch.Tensor, ...]] = []
    for start, end in even_parts(len(x), batch_size):
        leaf = x[start:end].detach().requires_grad_(backward)
        with torch.set_grad_enabled(backward):
            logits, decided = network(leaf)
            loss = objective(logits, slice(start, end))
        gradient = torch.autograd.grad(loss.sum(), leaf)[0] if backward else torch.zeros_like(leaf)
        parts.append((gradient, loss.detach(), logits.detach(), decided))
    return Slope(*(torch.cat(pieces) for pieces in zip(*parts, strict=True)))


def jacobian(victim: Victim, x: torch.Tensor, classes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, classes) and the gradients (N, k, *shape) of the logits in `classes`, int64 (N, k)."""
    leaf = x.detach().requires_grad_()
    logits = victim.logits(leaf)
    chosen = logits.gather(1, classes)
    rows = [
        torch.autograd.grad(chosen[:, i].sum(), leaf, retain_graph=i + 1 < chosen.shape[1])[0]
        for i in range(chosen.shape[1])
    ]
    return logits.detach(), torch.stack(rows, dim=1)


def check_classes(graph: Graph) -> int:
    """The number of classes. Raises TinyguardError for a network whose outputs say no class, or one of fewer
    than two."""
    try:
        classes = class_count(graph)
    except TinyguardError as error:
        raise TinyguardError(f"attacks need one input and at least two classes, and {error}") from None
    if len(graph.inputs) != 1 or classes < 2:
        raise TinyguardError(
            f"the network has {len(graph.inputs)} inputs and {classes} classes, and attacks need one input "
            "and at least two classes: attack a classifier"
        )
    return classes
